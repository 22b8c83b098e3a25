"""Labels of a data set: which actions each video holds, and when, in seconds.

Each format has its reader (`annotation_formats/`); impossible segments are refused or
repaired (`segments.py`). All problems of all rows are reported together.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ssdet.config import SPLITS, ConfigError, ExpectedCounts, LabelFormat, explain
from ssdet.data.annotation_formats import (
    AnnotationError,
    RawSegment,
    RawVideo,
    read_classes,
)
from ssdet.data.label_files import check_labels, labels_of, read_splits
from ssdet.data.segments import KINDS, REFUSED, refuse, repair, without_duplicates

SHOWN = 100  # problems in a message
SHOWN_CHARACTERS = 1000  # of each of them

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Segment:
    """One action: `label` happens from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """One annotated video.

    Attributes:
        video_id: name of the video file without its suffix.
        duration_s: as the annotation states it; None: not stated.
        segments: its actions, sorted; may be empty.
        split: `training` or `testing`.
        also: other names that its file may have; one that ends in / is only the name
            of a folder of frames.
    """

    video_id: str
    duration_s: float | None
    segments: tuple[Segment, ...]
    split: str
    also: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Dataset:
    """All annotated videos of a data set.

    Attributes:
        name: of the data set, as in the configuration.
        classes: class names in the order of the network's outputs.
        records: of both splits, sorted by video_id unless read as written.
        irregularities: how many segments were reversed, zero_length, past_end or
            duplicate, and how many videos are without_actions; if there are any, also
            how many segments were ambiguous and how many videos withheld.
    """

    name: str
    classes: tuple[str, ...]
    records: tuple[VideoRecord, ...]
    irregularities: dict[str, int]

    def of(self, split: str) -> tuple[VideoRecord, ...]:
        """The videos of `training` or `testing`, in the order of `records`."""
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}, expected {' or '.join(SPLITS)}")
        return tuple(record for record in self.records if record.split == split)

    @cached_property
    def class_index(self) -> dict[str, int]:
        """The position of each class name in `classes`."""
        return {name: index for index, name in enumerate(self.classes)}


def read_dataset(
    name: str,
    config: Mapping[str, Any],
    training: Path,
    testing: Path,
    classes: Path | None,
    durations: Mapping[str, float] | None = None,
    as_written: bool = False,
) -> Dataset:
    """Read the labels of both splits and check every row.

    Args:
        name: of the data set, for messages.
        config: its section; only `format` and `segments` are read.
        training: label file of the training videos.
        testing: label file of the test videos; may be the same file if that says for
            each video which split it belongs to.
        classes: list of the classes; None: the sorted labels of the training videos.
        durations: seconds of videos whose duration the annotation does not state.
        as_written: keep every segment as it is and the videos in the files' order, as
            official scripts do, whatever `config` says of segments.

    Raises:
        ConfigError: a key of `config` is bad.
        AnnotationError: rows that cannot be used; all are listed.
    """
    keys = {key: config[key] for key in LabelFormat.model_fields if key in config}
    try:
        recipe = LabelFormat.model_validate(keys)
    except ValidationError as error:
        raise ConfigError(f"datasets.{name}: {explain(error)}") from None
    problems: list[str] = []
    left_out: Counter[str] = Counter()
    raw = read_splits(recipe.format, training, testing, problems, left_out)
    if classes is None:
        source = "the training videos"
        names = labels_of(video for video, split in raw if split == "training")
    else:
        source = str(classes)
        names = read_classes(classes, recipe.format, problems)
    check_labels((video for video, _ in raw), names, source, problems)
    counts = Counter(dict.fromkeys(KINDS, 0))
    records = []
    for video, split in raw:
        duration_s = video.duration_s or (durations or {}).get(video.video_id)
        if as_written:
            kept = _spanning(video, duration_s)
        elif recipe.segments == "refuse":
            kept = refuse(_spanning(video, duration_s), duration_s, problems)
            kept = without_duplicates(kept, counts)
        else:
            kept = repair(_spanning(video, duration_s), duration_s, counts)
            kept = without_duplicates(kept, counts)
        segments = [
            Segment(s.start_s, s.end_s, names.get(s.label, s.label)) for s in kept
        ]
        if not as_written:
            segments.sort(key=attrgetter("start_s", "end_s", "label"))
        record = VideoRecord(
            video.video_id,
            video.duration_s,
            tuple(segments),
            split,
            video.also,
        )
        records.append(record)
    _raise(name, problems)
    counts["without_actions"] = sum(not record.segments for record in records)
    counts.update({kind: count for kind, count in left_out.items() if count})
    if not as_written:
        records.sort(key=lambda record: record.video_id)
    dataset = Dataset(name, tuple(names.values()), tuple(records), dict(counts))
    _log(dataset)
    return dataset


def check_expected(dataset: Dataset, expected: ExpectedCounts | None) -> None:
    """See that the lists are those that were published, or what the user expects.

    Args:
        dataset: as it was read.
        expected: how many videos and classes there should be; None: any number.

    Raises:
        AnnotationError: there are others; the message says how many, and what to do.
    """
    if expected is None:
        return
    found = {split: len(dataset.of(split)) for split in SPLITS}
    found["classes"] = len(dataset.classes)
    lines = [
        f"{key}: {found[key]:,}, expected {number:,}"
        for key, number in expected.model_dump().items()
        if number is not None and found[key] != number
    ]
    if lines:
        raise AnnotationError(
            f"The labels of {dataset.name} are not the lists that"
            f" datasets.{dataset.name}.expected states:\n  "
            + "\n  ".join(lines)
            + "\nFetch the files again or correct the paths. If the difference is"
            f" meant, set datasets.{dataset.name}.expected to your numbers, or to null"
        )


def add_dataset_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names a data set and its label files."""
    parser.add_argument("--name", required=True, help="name of the data set")
    parser.add_argument(
        "--dataset", required=True, help="its config section without paths, JSON"
    )
    parser.add_argument("--training", required=True, help="labels for training")
    parser.add_argument("--testing", required=True, help="labels for testing")
    parser.add_argument(
        "--classes", default="", help="class list; empty: labels of the training videos"
    )


def dataset_from_arguments(
    args: argparse.Namespace, durations: Mapping[str, float] | None = None
) -> Dataset:
    """Read the data set that the arguments name.

    Args:
        args: of a parser with `add_dataset_arguments`.
        durations: seconds of the videos, e.g. from the inventory.

    Raises:
        ConfigError: --dataset is not the JSON of a config section.
        AnnotationError: rows that cannot be used; all are listed.
    """
    try:
        config = json.loads(args.dataset)
        if not isinstance(config, dict):
            raise ValueError("not a mapping")
    except ValueError as error:
        raise ConfigError(
            f"--dataset should be a config section as JSON ({error}), found"
            f" {args.dataset!r}"
        ) from None
    return read_dataset(
        args.name,
        config,
        Path(args.training),
        Path(args.testing),
        Path(args.classes) if args.classes else None,
        durations,
    )


def _spanning(video: RawVideo, duration_s: float | None) -> list[RawSegment]:
    """The segments; the one of a whole video ends with it, where that is known."""
    if not video.whole or duration_s is None:
        return video.segments
    return [replace(segment, end_s=duration_s) for segment in video.segments]


def _raise(name: str, problems: list[str]) -> None:
    if not problems:
        return
    lines = [
        line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}..."
        for line in problems[:SHOWN]
    ]
    if len(problems) > SHOWN:
        lines.append(f"... and {len(problems) - SHOWN} more")
    text = "\n  ".join(lines)
    advice = "Correct them"
    if any(word in problem for word in REFUSED for problem in problems):
        advice += (
            f", or set datasets.{name}.segments to repair, which drops or cuts"
            " impossible segments and counts them"
        )
    plural = "" if len(problems) == 1 else "s"
    raise AnnotationError(
        f"The labels of {name} have {len(problems)} problem{plural}:\n  {text}"
        f"\n{advice}"
    )


def _log(dataset: Dataset) -> None:
    sizes = ", ".join(f"{len(dataset.of(split))} {split}" for split in SPLITS)
    log.info("%s: %s videos, %d classes", dataset.name, sizes, len(dataset.classes))
    found = [
        f"{count} {kind.replace('_', ' ')}"
        for kind, count in dataset.irregularities.items()
        if count
    ]
    if found:
        log.info("%s: irregular labels: %s", dataset.name, ", ".join(found))
