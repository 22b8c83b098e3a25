"""What is wrong is said before the first job, all at once."""

from collections import Counter


def generated_files():
    """Config key -> path, of what the rule `synthetic` writes."""
    kinetics = results(f"synthetic/{cfg.synthetic.classification}")
    charades = results(f"synthetic/{cfg.synthetic.detection}")
    return {
        cfg.synthetic.classification: {
            "videos": f"{kinetics}/videos",
            "annotations.training": f"{kinetics}/train.csv",
            "annotations.testing": f"{kinetics}/val.csv",
            "annotations.classes": None,
        },
        cfg.synthetic.detection: {
            "videos": f"{charades}/videos",
            "annotations.training": f"{charades}/Charades_v1_train.csv",
            "annotations.testing": f"{charades}/Charades_v1_test.csv",
            "annotations.classes": f"{charades}/Charades_v1_classes.txt",
        },
    }


def is_generated(dataset):
    """Whether the rule `synthetic` makes this data set."""
    return cfg.synthetic is not None and dataset in generated_files()


def configured_paths(dataset):
    """Config key (below the data set's) -> path."""
    section = cfg.datasets[dataset]
    paths = section.annotations.model_dump()
    return {
        "videos": section.videos,
        **{f"annotations.{key}": path for key, path in paths.items()},
    }


@cache
def require(*datasets, pretrained):
    """End with one message that names every config key whose path leads nowhere."""
    needed = [*datasets, cfg.classification] if pretrained else datasets
    wrong = []
    for dataset in dict.fromkeys(needed):
        if not is_generated(dataset):
            wrong += missing_paths(dataset)
    init = cfg.pretrain.init
    if pretrained and init is not None and not Path(init).is_file():
        wrong.append(f"pretrain.init: no file {init} (null starts from random weights)")
    if wrong:
        lines = "\n".join(f"  {line}" for line in wrong)
        fail(
            f"{len(wrong)} paths in the configuration lead nowhere. Set these keys in"
            " config/config.yaml, or in a file of your own given after it with"
            f" --configfile:\n{lines}"
        )


@cache
def require_feature_files(dataset):
    """End if labels or features that others made are not where the config says."""
    folder = cfg.spot.features.folders.get(dataset)
    wrong = [line for line in missing_paths(dataset) if ".videos: " not in line]
    if folder is None:
        wrong.append(f"spot.features.folders: no folder for {dataset}")
    elif not Path(folder).is_dir():
        wrong.append(f"spot.features.folders.{dataset}: no folder {folder}")
    if wrong:
        lines = "\n".join(f"  {line}" for line in wrong)
        fail(f"{len(wrong)} paths in the configuration lead nowhere:\n{lines}")


def missing_paths(dataset):
    """Config keys of a data set whose files are not there, one line for each."""
    wrong = []
    for key, path in configured_paths(dataset).items():
        if path is None:
            continue
        if key != "videos":
            complaint = None if Path(path).is_file() else "no file"
        elif Path(results(f"{dataset}/inventory.csv")).exists():
            complaint = None  # the videos were seen; they may have moved since
        elif not Path(path).is_dir():
            complaint = "no folder"
        else:
            complaint = None if any(Path(path).iterdir()) else "nothing in folder"
        if complaint:
            wrong.append(f"datasets.{dataset}.{key}: {complaint} {path}")
    return wrong


def check_names():
    """End if names in the configuration would give two things the same path."""
    wrong = [
        f"datasets.{name}: results have a {what} of this name; choose another"
        for what, names in (("folder", FOLDERS), ("table", {"cost"}))
        for name in sorted(names & set(cfg.datasets))
    ]
    wrong += [
        f"datasets.{name}: results of other seeds have folders of such names; choose"
        " another"
        for name in sorted(cfg.datasets)
        if re.fullmatch(r"seed_\d+", name)
    ]
    files = Counter(
        f"{dataset}_{name}" for dataset, name in product(DETECTION, RESULTS)
    )
    wrong += [
        f"{file}.json could mean two results; rename a data set, model or ensemble"
        for file, count in files.items()
        if count > 1
    ]
    if wrong:
        fail("The configuration has errors:\n  " + "\n  ".join(wrong))


def check_generated():
    """End if the generated sets are not where the configuration looks for them."""
    missing = sorted(set(generated_files()) - set(cfg.datasets))
    if missing:
        fail(f"synthetic names {', '.join(missing)}, which datasets: does not define")
    wrong = [
        f"  datasets.{dataset}.{key}: {found or 'null'} should be {path or 'null'}"
        for dataset, paths in generated_files().items()
        for key, path in paths.items()
        if Path(found := configured_paths(dataset)[key] or "") != Path(path or "")
    ]
    if wrong:
        fail("Paths differ from where videos are generated:\n" + "\n".join(wrong))


check_names()
if cfg.synthetic:
    check_generated()
