"""The checked config, and what rules make of it: params, resources."""

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
from ssdet.report.published import read_published, with_own_rows


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
# ssdet/kernels/library.py reads it; every job reads this file again, on every node.
os.environ["SSDET_CPU_KERNELS"] = "on" if cfg.resources.cpu_kernels else "off"


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
SHARED = {"nothing": (), "pretrain": ("pretrain",), "features": ("pretrain", "fine")}
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
    run=rf"(seed_(?!{cfg.seed}/)(0|[1-9]\d*)/)?",  # nothing: of the config key seed
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
    variant="|".join(["", *(f"_{name}" for name in map(re.escape, cfg.spot.variants))]),


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
