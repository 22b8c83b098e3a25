"""What is there of a data set and what lacks, before or after its inventory is made.

`ssdet doctor data` prints it. Nothing is written, and nothing stops at the first
mistake: whoever has downloaded 240,000 videos wants to know of all of them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ssdet.config import SPLITS, Config, DatasetConfig
from ssdet.data.annotations import (
    AnnotationError,
    Dataset,
    check_expected,
    read_dataset,
)
from ssdet.data.frame_folder import folder_fps
from ssdet.data.glance import Glance, died, glance
from ssdet.data.inventory import InventoryRow, read_inventory
from ssdet.data.parallel import run_each
from ssdet.data.sampling import frames_in
from ssdet.data.video_files import find_videos
from ssdet.progress import Progress

# Frames/s beyond which a rate is odd: stills and slow motion, or a wrong header.
USUAL_FPS = (10.0, 121.0)

log = logging.getLogger(__name__)


@dataclass
class Checkup:
    """What was found of one data set.

    Attributes:
        dataset: its name.
        source: `inventory` if every frame was decoded, `headers` for a quick look,
            `none` if the labels could not be read.
        inventory: the file that was read, or that would hold more.
        labels: number of training videos, testing videos and classes.
        irregularities: of the labels, by kind.
        expected: annotated videos that are not excluded.
        found: those that have a file or a folder of frames.
        missing: those that have none.
        corrupt: why the others cannot be used.
        excluded: listed in data.exclude.
        clip_frames: frames that a training clip spans, at the set's rate.
        short: frames of the videos that have fewer.
        odd_rates: frames/s of the videos whose rate is unusual, or below the set's.
        rates: how many videos have which frames/s, rounded.
        problems: what has to be mended before a run.
    """

    dataset: str
    source: str = "none"
    inventory: str = ""
    labels: dict[str, int] = field(default_factory=dict)
    irregularities: dict[str, int] = field(default_factory=dict)
    expected: int = 0
    found: int = 0
    missing: list[str] = field(default_factory=list)
    corrupt: dict[str, str] = field(default_factory=dict)
    excluded: list[str] = field(default_factory=list)
    clip_frames: int = 0
    short: dict[str, int] = field(default_factory=dict)
    odd_rates: dict[str, float] = field(default_factory=dict)
    rates: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def check(name: str, cfg: Config, workers: int) -> Checkup:
    """Look at the labels and the videos of a data set.

    Args:
        name: of the set, one of `cfg.datasets`.
        cfg: the configuration.
        workers: processes that look at videos; 0: none, work in this one.
    """
    section = cfg.datasets[name]
    found = Checkup(name)
    found.problems += _absent_paths(name, section)
    found.inventory = str(Path(cfg.results) / name / "inventory.csv")
    if name == cfg.classification:
        found.clip_frames = cfg.pretrain.frames * cfg.pretrain.stride
    else:
        found.clip_frames = cfg.fine.frames * cfg.sampling.stride
    rows = None
    if Path(found.inventory).is_file():
        rows = {row.video_id: row for row in read_inventory(found.inventory)}
    dataset = _labels(name, section, rows or {}, found)
    if dataset is None:
        return found
    ids = [record.video_id for record in dataset.records]
    found.excluded = sorted(set(ids) & set(cfg.data.exclude))
    wanted = sorted(set(ids) - set(found.excluded))
    found.expected = len(wanted)
    found.source = "headers" if rows is None else "inventory"
    if rows is None:
        looks = _from_files(wanted, dataset, section, found, workers)
    else:
        looks = _from_inventory(wanted, rows, found)
    _sort(wanted, looks, section.fps, found)
    _judge(dataset, cfg.data.allowed(name), found)
    return found


def _absent_paths(name: str, section: DatasetConfig) -> list[str]:
    paths = section.annotations.model_dump()
    absent = [
        f"datasets.{name}.annotations.{key}: no file {path}"
        for key, path in paths.items()
        if path is not None and not Path(path).is_file()
    ]
    if not Path(section.videos).is_dir():
        absent.append(f"datasets.{name}.videos: no folder {section.videos}")
    return absent


def _labels(
    name: str,
    section: DatasetConfig,
    rows: Mapping[str, InventoryRow],
    found: Checkup,
) -> Dataset | None:
    files = section.annotations
    if any("annotations" in problem for problem in found.problems):
        return None
    try:
        dataset = read_dataset(
            name,
            section.without_paths(),
            Path(files.training),
            Path(files.testing),
            Path(files.classes) if files.classes else None,
            {video: row.duration_s for video, row in rows.items() if row.frames},
        )
    except AnnotationError as error:
        found.problems.append(str(error))
        return None
    found.labels = {split: len(dataset.of(split)) for split in SPLITS}
    found.labels["classes"] = len(dataset.classes)
    found.irregularities = {k: n for k, n in dataset.irregularities.items() if n}
    try:
        check_expected(dataset, section.expected)
    except AnnotationError as error:
        found.problems.append(str(error))
    return dataset


def _from_inventory(
    wanted: Iterable[str], rows: Mapping[str, InventoryRow], found: Checkup
) -> dict[str, Glance]:
    unknown = sorted(set(wanted) - rows.keys())
    if unknown:
        found.problems.append(
            f"{found.inventory} was made for other labels: it lacks {unknown[0]} and"
            f" {len(unknown) - 1:,} other videos; make it again: snakemake"
            f" {found.inventory}"
        )
    return {
        video: Glance("" if row.status == "ok" else row.reason, row.fps, row.duration_s)
        for video, row in rows.items()
        if row.status in ("ok", "corrupt")
    }


def _from_files(
    wanted: list[str],
    dataset: Dataset,
    section: DatasetConfig,
    found: Checkup,
    workers: int,
) -> dict[str, Glance]:
    if not Path(section.videos).is_dir():
        return {}
    also = {record.video_id: record.also for record in dataset.records if record.also}
    try:
        paths = find_videos(Path(section.videos), wanted, dataset.name, also)
    except ValueError as error:  # several files of one video
        found.problems.append(str(error))
        return {}
    look = partial(glance, folder_fps=folder_fps(section.format, section.fps))
    looks: dict[Path, Glance] = {}
    with Progress(len(paths), "doctor", "video") as progress:
        for path, result in run_each(look, paths.values(), workers, died):
            looks[path] = result
            progress.advance()
    return {video: looks[path] for video, path in paths.items()}


def _sort(
    wanted: list[str],
    looks: Mapping[str, Glance],
    fps: float | None,
    found: Checkup,
) -> None:
    """Put every video where it belongs."""
    rates: Counter[str] = Counter()
    low, high = USUAL_FPS
    for video in wanted:
        look = looks.get(video)
        if look is None:
            found.missing.append(video)
            continue
        found.found += 1
        if look.reason:
            found.corrupt[video] = look.reason
            continue
        rate = fps or look.fps
        if look.duration_s and rate:
            frames = frames_in(look.duration_s, rate)
            if frames < found.clip_frames:
                found.short[video] = frames
        rates[f"{look.fps:.4g}"] += 1
        if not low <= look.fps <= high or look.fps < 0.99 * (fps or 0):
            found.odd_rates[video] = look.fps
    found.rates = dict(rates.most_common())


def _judge(dataset: Dataset, fraction: float, found: Checkup) -> None:
    """Note what the inventory would stop at."""
    lost = len(found.missing) + len(found.corrupt)
    allowed = int(fraction * len(dataset.records) + 1e-9)
    if lost > allowed:
        found.problems.append(
            f"missing or corrupt: {lost:,} of {len(dataset.records):,} videos,"
            f" data.max_missing_fraction ({fraction:g}) allows {allowed:,}; fetch them,"
            " list them in data.exclude, or allow the loss"
        )
    bad = {*found.missing, *found.corrupt, *found.excluded}
    for split in SPLITS:
        if all(record.video_id in bad for record in dataset.of(split)):
            found.problems.append(f"no video of split {split} can be used")
