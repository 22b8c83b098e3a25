"""The label files of both splits together: which video is for what, and its labels."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from ssdet.config import SPLITS
from ssdet.data.annotation_formats import READERS, RawVideo, wrong_label

DIGITS = 9  # of labels that are numbers

log = logging.getLogger(__name__)


def read_splits(
    format: str,
    training: Path,
    testing: Path,
    problems: list[str],
    left_out: Counter[str],
) -> list[tuple[RawVideo, str]]:
    """Read the label files of both splits.

    Args:
        format: how they are written, a key of READERS.
        training: label file of the training videos.
        testing: label file of the test videos; may be the same file.
        problems: is added to.
        left_out: counts of what the readers leave out, is added to.

    Returns:
        The videos of both files, each with its split.
    """
    same = training.exists() and testing.exists() and training.samefile(testing)
    chosen: list[tuple[RawVideo, str]] = []
    first: dict[str, tuple[RawVideo, str]] = {}
    videos: list[RawVideo] = []
    for split, path in zip(SPLITS, (training, testing), strict=True):
        known = len(problems)
        if not (same and videos):
            videos = READERS[format](path, problems, left_out)
        if same and videos and all(video.split is None for video in videos):
            problems.append(
                f"{path} is given for both splits, so it must say of each video whether"
                " it is for training or testing (a column split, in JSON a key subset)"
            )
            break
        mine = [video for video in videos if video.split in (None, split)]
        if not mine and len(problems) == known:
            problems.append(
                f"{path}: no video of split {split}; see the config key"
                f" datasets.<name>.annotations.{split}"
            )
        if len(mine) < len(videos) and not same:
            log.info(
                "%s: %d of %d videos are not of split %s and are left out",
                path,
                len(videos) - len(mine),
                len(videos),
                split,
            )
        for video in mine:
            chosen.append((video, split))
            other, other_split = first.setdefault(video.video_id, (video, split))
            if other_split != split:
                problems.append(
                    f"{video.where}: video {video.video_id!r} is for {split}, but"
                    f" {other.where} has it for {other_split}"
                )
    return chosen


def labels_of(videos: Iterable[RawVideo]) -> dict[str, str]:
    """The labels that occur, sorted; numbers by value."""
    labels = {segment.label for video in videos for segment in video.segments}
    if all(label.isdecimal() and len(label) <= DIGITS for label in labels):
        return {label: label for label in sorted(labels, key=int)}
    return {label: label for label in sorted(labels)}


def check_labels(
    videos: Iterable[RawVideo],
    names: Mapping[str, str],
    source: str,
    problems: list[str],
) -> None:
    """See that every segment has a class that there is, and a start in its video.

    Args:
        videos: of both splits.
        names: the class list.
        source: where that is from, for messages.
        problems: is added to.
    """
    problems += [f"{source}: {wrong}" for name in names if (wrong := wrong_label(name))]
    for video in videos:
        for segment in video.segments:
            if not segment.label:
                problems.append(f"{segment.where}: the label is empty")
            elif segment.label not in names:
                problems.append(
                    f"{segment.where}: label {segment.label!r} is not one of the"
                    f" {len(names)} classes of {source}"
                )
            if segment.start_s < 0:
                problems.append(
                    f"{segment.where}: {segment.label} starts at {segment.start_s:g} s,"
                    " before the video"
                )
