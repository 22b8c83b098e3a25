"""Which videos are evaluated, and what becomes of those that cannot be.

A test video counts if the inventory calls it ok; predictions must have exactly those.
Every other test video is lost: it is counted, listed and, where its annotation states
its length, ranked last by the official protocol (`ranking.py`).

Source: heads_and_evaluation, sections 4.4 and 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ssdet.data.annotations import Dataset, Segment
from ssdet.data.inventory import InventoryRow
from ssdet.data.sampling import Timeline, frames_in
from ssdet.stage import StageError

SHOWN = 20  # videos in a message


@dataclass(frozen=True)
class EvaluatedVideo:
    """A video that is evaluated: its actions and its clock."""

    video_id: str
    segments: tuple[Segment, ...]
    timeline: Timeline


@dataclass(frozen=True)
class Lost:
    """A video of the test split that the inventory has no frames of."""

    video_id: str
    status: str
    reason: str
    segments: tuple[Segment, ...]
    length_s: float | None


def evaluated_videos(
    dataset: Dataset, inventory: Iterable[InventoryRow], fps: float | None
) -> tuple[list[EvaluatedVideo], list[Lost]]:
    """Split the test videos by what the inventory says of them.

    Args:
        dataset: annotations.
        inventory: rows of the data set's videos.
        fps: rate to which frames are resampled; None: their own.

    Raises:
        StageError: the inventory lacks test videos, or none is usable.
    """
    rows = {row.video_id: row for row in inventory}
    records = dataset.of("testing")
    absent = [record.video_id for record in records if record.video_id not in rows]
    if absent:
        raise StageError(
            f"the inventory lacks {len(absent)} of {len(records)} test videos of"
            f" {dataset.name}: {_some(absent)}. Run inventory again"
        )
    videos, lost = [], []
    for record in records:
        row = rows[record.video_id]
        if row.status != "ok":
            length_s, segments = record.duration_s, record.segments
            lost.append(Lost(row.video_id, row.status, row.reason, segments, length_s))
            continue
        frames = resampled_frames(row, fps)
        timeline = Timeline(frames, record.duration_s or row.duration_s, 1)
        videos.append(EvaluatedVideo(record.video_id, record.segments, timeline))
    if not videos:
        raise StageError(
            f"{dataset.name}: no test video can be evaluated; look at the inventory's"
            " columns status and reason"
        )
    return videos, lost


def resampled_frames(row: InventoryRow, fps: float | None) -> int:
    """Raw frames of a video once they are resampled, as `extract_frames` packs them.

    Args:
        row: of the video, with status ok.
        fps: rate to which frames are resampled; None: their own.
    """
    return row.frames if fps is None else frames_in(row.duration_s, fps)


def refuse_other_videos(
    path: object, found: Iterable[str], videos: Sequence[EvaluatedVideo]
) -> None:
    """See that a file of predictions has exactly the videos that are evaluated.

    Raises:
        StageError: it lacks some, or has others; both are listed.
    """
    expected = {video.video_id for video in videos}
    absent, others = sorted(expected - set(found)), sorted(set(found) - expected)
    parts = []
    if absent:
        parts.append(
            f"lacks {len(absent)} of {len(expected)} test videos that the inventory"
            f" calls ok: {_some(absent)}"
        )
    if others:
        parts.append(
            f"has {len(others)} videos that are no usable test videos: {_some(others)}"
        )
    if parts:
        raise StageError(
            f"{path} {' and '.join(parts)}. Run predict again with this inventory"
        )


def _some(names: Sequence[str]) -> str:
    more = f", ... and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
