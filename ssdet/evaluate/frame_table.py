"""Scores and labels of the frames of all test videos, for looking at errors.

Of a large test set every n-th frame is taken: neighbouring frames say the same, and
what the analysis asks depends on how many videos there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ssdet.data.frame_labels import labels_at
from ssdet.data.interpolate import Stream, average
from ssdet.evaluate.protocol import EvaluatedVideo

Array = npt.NDArray[Any]
ROWS = 2**17  # at most, about


@dataclass(frozen=True)
class FrameTable:
    """One row for each frame, video after video.

    Attributes:
        scores: (K, N), logits.
        labels: (K, N), bool, by the strict rule.
        near: (K, N), bool: not positive, but nearer to an action of the class than the
            boundary's width.
        length_s: (K, N), seconds of the longest action of the class at that time, 0
            where there is none.
        video: (N,), number of the video.
        videos: how many there are.
        step: every so many frames are taken.
    """

    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.bool_]
    near: npt.NDArray[np.bool_]
    length_s: npt.NDArray[np.float32]
    video: npt.NDArray[np.int64]
    videos: int
    step: int


def frame_table(
    videos: Sequence[EvaluatedVideo],
    streams: Mapping[str, Sequence[Stream]],
    classes: Mapping[str, int],
    boundary_s: float,
    rows: int = ROWS,
) -> FrameTable:
    """Lay out every n-th frame of some videos, as few as give about `rows` rows.

    The first is another one in each video: predictions too are made at every so many
    frames, and frames at these times would differ from those between them.

    Args:
        videos: what is evaluated.
        streams: logits of each of them.
        classes: number of each of the K classes.
        boundary_s: how far from an action its boundary reaches, seconds.
        rows: above this number, frames are left out.
    """
    step = -(-sum(video.timeline.frames for video in videos) // rows)
    times = [
        np.arange(number % min(step, v.timeline.frames), v.timeline.frames, step)
        / v.timeline.fps
        for number, v in enumerate(videos)
    ]
    shape = len(classes), sum(map(len, times))
    scores = np.empty(shape, dtype=np.float32)
    labels, near = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    length_s = np.zeros(shape, dtype=np.float32)
    start = 0
    for video, at_s in zip(videos, times, strict=True):
        span = np.s_[:, start : start + len(at_s)]
        start += len(at_s)
        scores[span] = average(streams[video.video_id], at_s).T
        labels[span] = labels_at(video.segments, classes, at_s)
        for segment in video.segments:
            row = classes[segment.label]
            from_start, to_end = at_s - segment.start_s, segment.end_s - at_s
            inside = (from_start > 0) & (to_end > 0)
            lengths = length_s[span][row]
            seconds = segment.end_s - segment.start_s
            lengths[inside] = np.maximum(lengths[inside], seconds)
            close = (from_start >= -boundary_s) & (to_end >= -boundary_s)
            near[span][row] |= close
    near &= ~labels
    number = np.repeat(np.arange(len(videos)), [len(at_s) for at_s in times])
    return FrameTable(scores, labels, near, length_s, number, len(videos), step)
