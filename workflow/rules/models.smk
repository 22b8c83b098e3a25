"""Models, ensembles and published tables: what they are made of, what is asked for."""


def members(name):
    """The models that a result is the mean of."""
    return cfg.ensembles[name] if name in cfg.ensembles else (name,)


def in_ensembles():
    """The models that are a member of an ensemble."""
    found = {member for name in cfg.ensembles for member in members(name)}
    return [name for name in cfg.models if name in found]


def member_predictions(wildcards):
    """The predictions that a result is made of."""
    runs = {
        member: run_of_model(member, wildcards) for member in members(wildcards.name)
    }
    if wildcards.get("run", "") and not any(runs.values()):
        fail(
            f"{wildcards.name} is the same for every seed: its members are shared with"
            " the first (config key seeds.share)"
        )
    folder = f"{wildcards.dataset}/predictions"
    return [results(f"{run}{folder}/{member}.h5") for member, run in runs.items()]


def run_of_model(name, wildcards):
    """The folder of a model's outputs for this seed."""
    return shared("fine" if cfg.models[name].kind == "fine" else "model", wildcards)


def model_files(wildcards):
    """What `predict` reads, by the kind of the model."""
    dataset, model, features = wildcards.dataset, cfg.models[wildcards.model], []
    if model.kind in ("fine", "coarse", "slow"):
        trained = f"{model.kind}/{model.pretext}"
    elif model.kind == "slowfast":
        trained = f"slowfast/{model.slow}_{model.fast}"
    elif model.kind == "end_to_end":
        trained = f"end_to_end/{model.coarse}_{model.fine}"
    elif model.kind == "head":
        trained = f"heads/{model.head}/{model.pretext}"
        features = features_of(wildcards, model.pretext, "testing")
    else:
        trained = f"coarse_fine/{model.coarse}_{model.fine}"
        features = feature_shards(wildcards, model.fine, "testing")
    weights = results(f"{wildcards.run}{dataset}/{trained}/checkpoint.pt")
    return {"checkpoint": weights, "features": features}


def evaluation_sections(wildcards):
    """What a result says of its making, beside what its members say, as JSON."""
    models = {name: cfg.models[name].model_dump() for name in members(wildcards.name)}
    return canonical_json({"models": models})


def member_sections():
    """The members of every result, as config says them, as JSON."""
    return canonical_json(
        {name: [model_section(m) for m in members(name)] for name in RESULTS}
    )


def model_section(name):
    """A model as config says it; a temporal head on our features with its network."""
    model = cfg.models[name]
    section = model.model_dump(mode="json")
    if model.kind == "head" and model.pretext not in cfg.head.external:
        network = cfg.head.heads[model.head].network.model_dump(mode="json")
        section |= {"network": network, "features": cfg.head.features}
    return section


def optional(file):
    """A named input that may be none, as text; `:q` writes nothing for an empty one."""
    return str(file) if file else ""


def folder(files):
    """The folder that files lie in, or nothing if there are none."""
    return str(Path(files[0]).parent) if files else ""


def features_of(wildcards, source, split):
    """The feature files of a split, or the folder in which others put theirs."""
    if source not in cfg.head.external:
        return feature_shards(wildcards, source, split)
    dataset, folders = wildcards.dataset, cfg.head.external[source]
    if dataset not in folders:
        fail(f"head.external.{source} names no folder for the data set {dataset}")
    if not Path(folders[dataset]).is_dir():
        fail(f"head.external.{source}.{dataset}: no folder {folders[dataset]}")
    return [folders[dataset]]


def step_features(wildcards, split):
    """What `train_head` reads of a split."""
    return features_of(wildcards, wildcards.source, split)


def folder_of(features):
    """The folder of what `features_of` gives, or nothing if there is none."""
    shards = features and str(features[0]).endswith(".h5")
    return folder(features) if shards else "".join(features)


def predicted_frames(wildcards):
    """The frames that `predict` reads; a temporal head reads none."""
    if cfg.models[wildcards.model].kind == "head":
        return []
    return frame_shards(wildcards.dataset, "testing")


def head_arguments(wildcards):
    """What `predict` is told of a temporal head: which epoch, and whose features."""
    model = cfg.models[wildcards.model]
    if model.kind != "head":
        return ""
    return f"--epoch {model.epoch} {external(model.pretext)}".strip()


def external(source):
    """The flag that tells a stage of features that others made."""
    return "--external" if source in cfg.head.external else ""


def reported():
    """Names of the results in the tables: all that the ensembles need training for.

    The ensembles, their members, and the single streams that these are built upon.
    """
    needed = set(in_ensembles())
    used = [cfg.models[member] for member in needed]
    fine = {m.fine for m in used if m.kind in ("coarse_fine", "end_to_end")}
    fine |= {model.fast for model in used if model.kind == "slowfast"}
    fine |= {model.pretext for model in used if model.kind == "head"}
    for name, model in cfg.models.items():
        if model.kind == "fine" and model.pretext in fine:
            needed.add(name)
    return [name for name in RESULTS if name in needed or name in cfg.ensembles]


def reported_results(wildcards):
    """The results of a data set that its tables show."""
    return [results(f"{wildcards.dataset}_{name}.json") for name in reported()]


def results_of(dataset):
    """All results of a data set, its tables and its figures."""
    names = [results(f"{dataset}_{name}.json") for name in reported()]
    tables = [results(f"tables/{dataset}.{kind}") for kind in ("csv", "md")]
    figures = [
        results(f"figures/{dataset}_{name}_{kind}")
        for name, kind in product(
            cfg.ensembles, ("ap.svg", "timeline.svg", "timeline.html", "errors.svg")
        )
    ]
    grids = [results(f"figures/{dataset}_{name}_grid.svg") for name in gridded()]
    return names + tables + figures + grids + overviews(dataset)


def overviews(dataset):
    """What tells of all results of a data set together."""
    names = ("overview.html", "provenance.html", "curves.svg")
    hours = [results(f"tables/{dataset}_hours.{kind}") for kind in ("csv", "md")]
    return hours + [results(f"figures/{dataset}_{name}") for name in names]


def gridded():
    """The models of the ensembles with Grid Pool: they choose the frames they see."""
    kinds = ("coarse", "coarse_fine", "end_to_end")
    return [name for name in in_ensembles() if cfg.models[name].kind in kinds]


def everything(wildcards):
    """The default target: results of every detection set, and what belongs to none."""
    datasets = [cfg.synthetic.detection] if cfg.synthetic else DETECTION
    require(*datasets, pretrained=True)
    paths = [path for dataset in datasets for path in results_of(dataset)]
    return [
        *paths,
        *(results(f"tables/cost.{kind}") for kind in ("csv", "md")),
        results("figures/augmentations.svg"),
        *spot_tables(),
    ]


def demo_results(wildcards):
    """The target of `make demo`: results of the generated detection set."""
    if cfg.synthetic is None:
        fail(
            "the target demo needs generated videos (config key synthetic); give"
            " --configfile config/demo.yaml"
        )
    return everything(wildcards)


# --------------------------------------------------------------------- published tables


def named_results(paper):
    """Our results that a published table or figure names and the configuration has."""
    if hasattr(paper, "rows"):
        names = [row.result for row in paper.rows.values()]
    else:
        names = [p.result for series in paper.series.values() for p in series.points]
    known = [name for name in dict.fromkeys(names) if name in RESULTS]
    first = [results(f"{paper.dataset}_{name}.json") for name in known]
    others = [
        results(f"seed_{seed}/{paper.dataset}_{name}.json")
        for seed, name in product(cfg.seeds.tables, known)
        if differs_by_seed(name)
    ]
    return first + others


def differs_by_seed(name):
    """Whether other seeds train any member of a result anew."""
    fixed = "fine" in SHARED[cfg.seeds.share]
    return not (fixed and all(cfg.models[m].kind == "fine" for m in members(name)))


def results_there_are(paper):
    """Those of them that were made; the others are said not to be built yet."""
    return [path for path in named_results(paper) if Path(path).is_file()]


def generated_flag(paper):
    """The flag that tells a stage of generated videos."""
    return "--generated" if is_generated(paper.dataset) else ""


def require_tables():
    """End if a file of published tables is not there."""
    missing = [path for path in cfg.report.tables if not Path(path).is_file()]
    if missing:
        fail(f"report.tables: no file {', '.join(missing)}")


def papers_results(wildcards):
    """Every result that the published tables name, of the data sets that there are."""
    require_tables()
    papers = [*PAPER.tables.values(), *PAPER.figures.values()]
    if cfg.synthetic:
        papers = [paper for paper in papers if is_generated(paper.dataset)]
    require(*dict.fromkeys(paper.dataset for paper in papers), pretrained=True)
    return list(dict.fromkeys(path for p in papers for path in named_results(p)))


def papers_tables(wildcards):
    """The published tables and figures, with the results that there are."""
    require_tables()
    tables = [
        results(f"tables/{name}.{kind}")
        for name, kind in product(PAPER.tables, ("csv", "md"))
    ]
    return tables + [results(f"figures/{name}.svg") for name in PAPER.figures]
