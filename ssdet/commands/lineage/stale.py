"""What of the configuration and the program is another than when a file was made."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ssdet.commands.lineage.changes import key_changes
from ssdet.commands.lineage.records import Record
from ssdet.commands.lineage.walk import Node
from ssdet.config import Config, Section
from ssdet.data.frame_folder import folder_fps

PACKAGE = Path(__file__).parents[2]
# Stage -> the module that has its REVISION.
MODULES = {
    "inventory": "data/inventory",
    "extract_frames": "data/frames",
    "pretrain": "train/pretrain",
    "fine": "train/fine",
    "coarse": "train/coarse",
    "slow": "train/slow",
    "coarse_fine": "train/coarse_fine",
    "slowfast": "train/slowfast",
    "end_to_end": "train/end_to_end",
    "head": "train/head",
    "pretrain_spot": "train/pretrain_spot",
    "train_spot": "train/spot",
    "extract_features": "features/extract",
    "predict": "evaluate/predict",
    "detect_spot": "evaluate/detect",
    "evaluate_segments": "evaluate/segments",
    "ensemble": "evaluate/ensemble",
    "evaluate": "evaluate/evaluate_file",
}
OF_SPOT = ("pretrain_spot", "train_spot", "detect_spot")
# These read only part of a data set's recipe.
IN_PART = ("inventory", "extract_frames")

Now = dict[str, tuple[str, Any]]  # recorded key -> its key in config.yaml, value now


def is_of(cfg: Config, nodes: Iterable[Node]) -> bool:
    """Whether files lie where this configuration puts those of its data sets."""
    folders = {Path(cfg.results) / name for name in cfg.datasets}
    paths = {Path(edge.node.path) for node in nodes for edge in node.parents}
    return any(folders & set(path.parents) for path in paths)


def stale(node: Node, cfg: Config | None) -> tuple[str, ...]:
    """Why Snakemake would make a file anew, if it knew only what the file says.

    Args:
        node: the file.
        cfg: the configuration; None: only the program is looked at.

    Returns:
        One line for each reason, with the config key.
    """
    record = node.record
    if record is None:
        return ()
    lines = []
    now = revision(record.stage)
    if now is not None and now != record.block["revision"]:
        lines.append(f"REVISION of {record.stage}: {record.block['revision']} -> {now}")
    if cfg is not None:
        lines += _config_lines(cfg, node, record)
    return tuple(lines)


def revision(stage: str) -> int | None:
    """The REVISION of a stage in this program, None if it has no such stage."""
    if stage not in MODULES:
        return None
    text = (PACKAGE / f"{MODULES[stage]}.py").read_text(encoding="utf-8")
    found = re.search(r"^REVISION = (\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else None


def _config_lines(cfg: Config, node: Node, record: Record) -> Iterator[str]:
    if record.dataset and record.dataset not in cfg.datasets:
        yield f"datasets.{record.dataset}: no longer in the configuration"
        return
    present = _present(cfg, node, record)
    for key, (name, value) in present.items():
        yield from key_changes(name, record.config[key], value)
    if "seed" in record.content:
        yield from key_changes("seed", record.content["seed"], _seed(cfg, node))
    yield from _members(cfg, record.content)


def _present(cfg: Config, node: Node, record: Record) -> Now:
    """The present values of what a stage was given of the configuration."""
    config, found = record.config, {}
    for key, value in config.items():
        if key in SPECIAL:
            found[key] = SPECIAL[key](cfg, node, record)
        elif record.stage in OF_SPOT and key in type(cfg.spot).model_fields:
            found[key] = (f"spot.{key}", _plain(getattr(cfg.spot, key)))
        elif isinstance(value, Mapping) and isinstance(
            section := getattr(cfg, key, None), Section
        ):
            found[key] = (key, _plain(section))
    return found


def _plain(section: Any) -> Any:
    """A section as stages get it: without paths."""
    if hasattr(section, "without_paths"):
        return section.without_paths()
    return section.model_dump(mode="json")


def _dataset(cfg: Config, node: Node, record: Record) -> tuple[str, Any]:
    recorded = record.config["dataset"]
    if not record.dataset:
        return "datasets", recorded  # of which one is not known
    values = cfg.datasets[record.dataset].without_paths()
    if record.stage in IN_PART:
        values = {key: value for key, value in values.items() if key in recorded}
    return f"datasets.{record.dataset}", values


def _data(cfg: Config, node: Node, record: Record) -> tuple[str, Any]:
    videos = (row.video_id for row in node.rows)
    known = {*videos, *record.config["data"]["exclude"]}
    return "data", cfg.data.of(record.dataset, known)


def _folder_fps(cfg: Config, node: Node, record: Record) -> tuple[str, Any]:
    dataset = cfg.datasets[record.dataset]
    return f"datasets.{record.dataset}.fps", folder_fps(dataset.format, dataset.fps)


def _head(cfg: Config, node: Node, record: Record) -> tuple[str, Any]:
    name = record.config["head_name"]
    if name not in cfg.head.heads:
        return f"head.heads.{name}", None
    section = cfg.head.section(name, record.dataset)
    return f"head.heads.{name}", section.model_dump(mode="json")


def _seed(cfg: Config, node: Node) -> int:
    """The seed of a file: that of the folder which its seed has, or the first."""
    found = re.match(r"seed_(\d+)/", os.path.relpath(node.path, cfg.results))
    return int(found[1]) if found else cfg.seed


def _models(cfg: Config, node: Node, record: Record) -> tuple[str, Any]:
    names = [name for name in record.config["models"] if name in cfg.models]
    return "models", {n: cfg.models[n].model_dump(mode="json") for n in names}


def _members(cfg: Config, result: Mapping[str, Any]) -> Iterator[str]:
    """Whether an ensemble is still of the same models."""
    if result.get("name") in cfg.ensembles:
        old = [member["model"] for member in result["members"]]
        new = list(cfg.ensembles[result["name"]])
        yield from key_changes(f"ensembles.{result['name']}", old, new)


SPECIAL: dict[str, Callable[[Config, Node, Record], tuple[str, Any]]] = {
    "dataset": _dataset,
    "data": _data,
    "folder_fps": _folder_fps,
    "head": _head,
    "models": _models,
    "seed": lambda cfg, node, record: ("seed", _seed(cfg, node)),
    "pool": lambda cfg, node, record: ("features.pool", cfg.features.pool),
    "split_seed": lambda cfg, node, record: (
        "spot.labels.seed",
        str(cfg.spot.labels.seed),
    ),
}
