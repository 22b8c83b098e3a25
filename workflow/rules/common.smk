"""The functions of the workflow: checked config, sections, paths; checks.smk has more."""

import os
import re
import sys
from functools import cache
from itertools import product
from pathlib import Path
from typing import get_args

ROOT = Path(workflow.basedir).parent
sys.path.insert(0, str(ROOT))  # the ssdet/ beside us
# Jobs find the same ssdet, and the python and torchrun that run Snakemake; a conda
# environment or a container, if used, comes before them.
for variable, first in {
    "PYTHONPATH": ROOT,
    "PATH": Path(sys.executable).parent,
}.items():
    rest = os.environ.get(variable)
    os.environ[variable] = f"{first}{os.pathsep}{rest}" if rest else str(first)

from ssdet.config import SPLITS, ConfigError, Pretext, canonical_json, load
from ssdet.data.annotations import check_expected, read_dataset
from ssdet.data.frame_folder import folder_fps
from ssdet.data.shards import shard_name, shards_with
from ssdet.data.synthetic_ids import planned_ids
from ssdet.report.published import read_published


def fail(message):
    """End at once with one message; Snakemake would add its own traceback."""
    raise SystemExit(f"error: {message}")


def checked(mapping):
    """The configuration, or the end with a list of its errors."""
    try:
        return load(mapping)
    except ConfigError as error:
        fail(error)


cfg = checked(config)


def published():
    """The papers' tables, of files that are there; `require_tables` complains."""
    files = [path for path in cfg.report.tables if Path(path).is_file()]
    try:
        return read_published(files)
    except ConfigError as error:
        fail(error)


PAPER = published()

PRETEXTS = get_args(Pretext)
DETECTION = [name for name in cfg.datasets if name != cfg.classification]
RESULTS = [*cfg.models, *cfg.ensembles]
FOLDERS = {
    "pretrain",
    "tables",
    "figures",
    "submissions",
    "logs",
    "benchmarks",
    "synthetic",
}


wildcard_constraints:
    dataset="|".join(map(re.escape, cfg.datasets)),
    pretext="|".join(PRETEXTS),
    coarse="|".join(PRETEXTS),
    fine="|".join(PRETEXTS),
    slow="|".join(PRETEXTS),
    fast="|".join(PRETEXTS),
    head="|".join(map(re.escape, cfg.head.heads)),
    table="|".join(map(re.escape, PAPER.tables)) or "none",
    figure="|".join(map(re.escape, PAPER.figures)) or "none",
    source="|".join([*PRETEXTS, *map(re.escape, cfg.head.external)]),
    model="|".join(map(re.escape, cfg.models)),
    name="|".join(map(re.escape, RESULTS)),
    split="|".join(SPLITS),
    shard=r"\d\d\d+",
    labels=r"100|[1-9]\d?",


# ------------------------------------------------------------------- params, resources


def section(name):
    """One config section as JSON: rules that name it rerun when it changes."""
    return getattr(cfg, name).canonical()


def dataset_section(wildcards):
    """What of a data set's section can change a number, as JSON."""
    return canonical_json(cfg.datasets[wildcards.dataset].without_paths())


def recipe(*keys):
    """Of a data set's section only what a stage reads, as JSON."""

    def chosen(wildcards):
        values = cfg.datasets[wildcards.dataset].without_paths()
        return canonical_json({key: values[key] for key in keys})

    return chosen


def rate_of_folders(wildcards):
    """The option that tells the rate of frames in folders; nothing if none is known."""
    dataset = cfg.datasets[wildcards.dataset]
    fps = folder_fps(dataset.format, dataset.fps)
    return "" if fps is None else f"--folder-fps {fps}"


def losses(wildcards):
    """What of the section `data` concerns a data set, as JSON."""
    dataset = wildcards.dataset
    videos = split_of_videos(dataset) if cfg.data.exclude else ()
    return canonical_json(cfg.data.of(dataset, videos))


def revision(module):
    """A stage's REVISION, read from its text: planning never imports PyTorch."""
    path = ROOT / module.replace(".", "/")
    text = path.with_suffix(".py").read_text(encoding="utf-8")
    found = re.search(r"^REVISION = (\d+)$", text, re.MULTILINE)
    if not found:
        fail(
            f"{path}.py has no line `REVISION = <integer>`, by which results are redone"
        )
    return int(found[1])


def runtime(kind):
    """Minutes for a job; a job that ran out of time gets more at the next attempt."""
    return lambda wildcards, attempt: attempt * getattr(cfg.resources, kind).runtime


def launcher():
    """The program that starts a training: torchrun where there are several GPUs."""
    gpus = cfg.resources.train.gpu
    return f"torchrun --standalone --nproc-per-node {gpus}" if gpus > 1 else "python"


def process_threads():
    """Cores for each process of a training."""
    return max(1, cfg.resources.train.threads // max(1, cfg.resources.train.gpu))


def execution():
    """How a training is run, as arguments: none of them changes what it computes."""
    how = cfg.resources
    arguments = {
        "workers": how.workers,
        "checkpoint-seconds": how.checkpoint_seconds,
        "accumulate": how.accumulate,
        "device": how.device,
        "precision": how.precision,
    }
    flags = {
        "activation-checkpointing": how.activation_checkpointing,
        "tensorboard": how.tensorboard,
    }
    words = [f"--{name} {value}" for name, value in arguments.items()]
    return " ".join([*words, *(f"--{name}" for name, on in flags.items() if on)])


# ------------------------------------------------------------------------------- paths


def results(path):
    """A path below the config key `results`."""
    return str(Path(cfg.results) / path)


def annotation_files(dataset):
    """The label files of a data set, as named inputs."""
    files = cfg.datasets[dataset].annotations
    classes = [] if files.classes is None else files.classes
    return {"training": files.training, "testing": files.testing, "classes": classes}


def labels(dataset, pretrained=False):
    """The label files, once everything that the stage needs is known to be there.

    Args:
        dataset: name of the data set.
        pretrained: whether the stage is `pretrain` or comes after it.
    """
    require(dataset, pretrained=pretrained)
    return annotation_files(dataset)


def read_labels(dataset):
    """The label files, once they are known to be there and to hold what they should."""
    files = labels(dataset)
    split_of_videos(dataset)
    return files


def frame_shards(dataset, *splits):
    """The frame files that hold videos of these splits."""
    return [results(f"{dataset}/frames/{name}") for name in shards(dataset, splits)]


def feature_shards(dataset, pretext, split):
    """The feature files of a split."""
    folder = f"{dataset}/features/{pretext}/{split}"
    return [results(f"{folder}/{name}") for name in shards(dataset, (split,))]


@cache
def shards(dataset, splits):
    """File names of the shards that hold videos of these splits."""
    videos = split_of_videos(dataset)
    chosen = [video for video, split in videos.items() if split in splits]
    return [shard_name(n) for n in shards_with(chosen, videos, cfg.frames.shard_videos)]


@cache
def split_of_videos(dataset):
    """Split of each annotated video; the generated ones are known before they exist."""
    if is_generated(dataset):
        planned = planned_ids(cfg.synthetic, cfg.seed)[dataset]
        return {video: split for split, ids in planned.items() for video in ids}
    files = annotation_files(dataset)
    try:
        data = read_dataset(
            dataset,
            cfg.datasets[dataset].without_paths(),
            Path(files["training"]),
            Path(files["testing"]),
            Path(files["classes"]) if files["classes"] else None,
        )
        check_expected(data, cfg.datasets[dataset].expected)
    except (OSError, ValueError) as error:
        fail(error)
    return {record.video_id: record.split for record in data.records}


# ------------------------------------------------------------------------------- SPOT


def snippets(dataset, split):
    """What SPOT reads of the videos of a split."""
    features = cfg.spot.features
    if features.source == "store":
        read = feature_shards(dataset, features.pretext, split)
    else:
        read = features.folders[dataset]
    return {**annotated(dataset), "features": read, "table": snippet_table(dataset)}


def annotated(dataset):
    """The label files, and the inventory of videos that are there to be looked at."""
    if cfg.spot.features.source == "store":
        files = labels(dataset, pretrained=True)
        return {**files, "inventory": results(f"{dataset}/inventory.csv")}
    require_feature_files(dataset)
    return {**annotation_files(dataset), "inventory": []}


def snippet_table(dataset):
    """Which share of each video its feature file covers, if that is known."""
    return cfg.spot.features.tables.get(dataset, [])


def features_folder(features):
    """The folder of features: of shards, or of one file for each video."""
    stored = cfg.spot.features.source == "store"
    return str(Path(features[0]).parent) if stored else str(features)


def spot_init(wildcards):
    """The weights that SPOT starts from, if it does."""
    pretrained = results(f"{wildcards.dataset}/spot/pretrain/checkpoint.pt")
    named = {"pretrain_spot": pretrained, "random": []}
    return named.get(cfg.spot.train.init, cfg.spot.train.init)


def published_split(wildcards):
    """The table that says which videos keep their labels, if there is one."""
    split = cfg.spot.labels.split_files.get(wildcards.dataset, [])
    return [] if wildcards.labels == "100" else split


def external_scores(wildcards):
    """What another program says of whole videos, if that is to be used."""
    return cfg.spot.detect.external_scores.get(wildcards.dataset, [])


# ---------------------------------------------------------------- models and ensembles


def members(name):
    """The models that a result is the mean of."""
    return cfg.ensembles[name] if name in cfg.ensembles else (name,)


def in_ensembles():
    """The models that are a member of an ensemble."""
    found = {member for name in cfg.ensembles for member in members(name)}
    return [name for name in cfg.models if name in found]


def member_predictions(wildcards):
    """The predictions that a result is made of."""
    folder = results(f"{wildcards.dataset}/predictions")
    return [f"{folder}/{member}.h5" for member in members(wildcards.name)]


def model_files(wildcards):
    """What `predict` reads, by the kind of the model."""
    dataset, model, features = wildcards.dataset, cfg.models[wildcards.model], []
    if model.kind in ("fine", "coarse", "slow"):
        trained = f"{model.kind}/{model.pretext}"
    elif model.kind == "slowfast":
        trained = f"slowfast/{model.slow}_{model.fast}"
    elif model.kind == "head":
        trained = f"heads/{model.head}/{model.pretext}"
        features = features_of(dataset, model.pretext, "testing")
    else:
        trained = f"coarse_fine/{model.coarse}_{model.fine}"
        features = feature_shards(dataset, model.fine, "testing")
    weights = results(f"{dataset}/{trained}/checkpoint.pt")
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


def features_of(dataset, source, split):
    """The feature files of a split, or the folder in which others put theirs."""
    if source not in cfg.head.external:
        return feature_shards(dataset, source, split)
    folders = cfg.head.external[source]
    if dataset not in folders:
        fail(f"head.external.{source} names no folder for the data set {dataset}")
    if not Path(folders[dataset]).is_dir():
        fail(f"head.external.{source}.{dataset}: no folder {folders[dataset]}")
    return [folders[dataset]]


def step_features(wildcards, split):
    """What `train_head` reads of a split."""
    return features_of(wildcards.dataset, wildcards.source, split)


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
    fine = {model.fine for model in used if model.kind == "coarse_fine"}
    fine |= {model.fast for model in used if model.kind == "slowfast"}
    fine |= {model.pretext for model in used if model.kind == "head"}
    for name, model in cfg.models.items():
        if model.kind == "fine" and model.pretext in fine:
            needed.add(name)
    return [name for name in RESULTS if name in needed or name in cfg.ensembles]


def results_of(dataset):
    """All results of a data set, its tables and its figures."""
    names = [results(f"{dataset}_{name}.json") for name in reported()]
    tables = [results(f"tables/{dataset}.{kind}") for kind in ("csv", "md")]
    figures = [
        results(f"figures/{dataset}_{name}_{kind}.svg")
        for name, kind in product(cfg.ensembles, ("ap", "timeline", "errors"))
    ]
    grids = [results(f"figures/{dataset}_{name}_grid.svg") for name in gridded()]
    return names + tables + figures + grids


def gridded():
    """The models of the ensembles with Grid Pool: they choose the frames they see."""
    kinds = ("coarse", "coarse_fine")
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
    return [results(f"{paper.dataset}_{name}.json") for name in known]


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
