"""Which frames count, and the numbers that are computed from them.

Three numbers, never to be compared with each other:

dense_map
    Every frame of every test video at the raw frame rate, labels by the strict rule,
    logits interpolated linearly to the frames' times. Long videos weigh more.
map_25, map_25_weighted
    The 25 official instants of every test video, both ends of a segment included,
    logits interpolated to the instants: the plain mean over classes, and the mean
    weighted by each class's positives. A video that is lost but whose annotation states
    its length is ranked last, with its positives, as the official script does.

All are shares in [0, 1]; classes without positives are left out of the means. The APs
are those of the logits: a sigmoid after interpolation keeps their order, and would only
add ties where it rounds.

Source: heads_and_evaluation, sections 4.2 to 4.7; ssdet, section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ssdet.data.annotations import Segment
from ssdet.data.frame_labels import frame_labels, instant_labels, official_instants
from ssdet.data.interpolate import Stream, average
from ssdet.evaluate.protocol import EvaluatedVideo, Lost
from ssdet.metrics import (
    class_average_precision,
    mean_over_present,
    weighted_mean_over_present,
)
from ssdet.stage import StageError

BLOCK_BYTES = 2**28  # of the scores that are held at once

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Scores:
    """What one protocol gives.

    Attributes:
        ap: (K,), NaN for classes without positives.
        positives: (K,), positive rows.
        rows: how many rows were ranked.
    """

    ap: Array
    positives: Array
    rows: int

    @property
    def chance(self) -> Array:
        """Expected AP (K,) of random scores: the class's share of positive rows.

        ASSUME: that share stands for the exact expectation, which is higher by about
        ln(rows) / rows.
        """
        share = self.positives / max(self.rows, 1)
        return np.where(self.positives > 0, share, np.nan)


def dense_scores(
    videos: Sequence[EvaluatedVideo],
    streams: Mapping[str, Sequence[Stream]],
    classes: Mapping[str, int],
    threads: int = 1,
) -> Scores:
    """Average precision over every raw frame.

    Args:
        videos: what is evaluated.
        streams: logits of each of them.
        classes: column of each of the K classes.
        threads: classes ranked at once; changes no value.
    """
    parts = [
        _Part(
            video.segments,
            partial(frame_labels, frames=len(at_s), fps=video.timeline.fps),
            at_s,
            streams[video.video_id],
        )
        for video in videos
        for at_s in [np.arange(video.timeline.frames) / video.timeline.fps]
    ]
    return _rank(parts, classes, threads)


def instant_scores(
    videos: Sequence[EvaluatedVideo],
    lost: Sequence[Lost],
    streams: Mapping[str, Sequence[Stream]],
    classes: Mapping[str, int],
    threads: int = 1,
) -> Scores:
    """Average precision over the 25 official instants.

    Args:
        videos: what is evaluated.
        lost: what is ranked last, where its length is known.
        streams: logits of each of `videos`.
        classes: column of each of the K classes.
        threads: classes ranked at once; changes no value.
    """
    known = [
        (video.segments, video.timeline.duration_s, streams[video.video_id])
        for video in videos
    ]
    ranked_last = [
        (video.segments, video.length_s, ())
        for video in lost
        if video.length_s is not None
    ]
    parts = [
        _Part(
            segments,
            partial(instant_labels, length_s=length_s),
            official_instants(length_s),
            logits,
        )
        for segments, length_s, logits in [*known, *ranked_last]
    ]
    return _rank(parts, classes, threads)


def metrics_of(
    dense: Scores, instants: Scores, classes: Sequence[str]
) -> dict[str, Any]:
    """The `metrics` of a result: plain JSON types, null where there is no AP.

    Raises:
        StageError: no frame has a label.
    """
    if not dense.positives.any():
        raise StageError(
            "no action is seen in any frame of a test video, so there is nothing to"
            " detect; look at the label file of the test videos"
        )
    return {
        **_means(dense.ap, instants.ap, instants.positives),
        "chance": _means(dense.chance, instants.chance, instants.positives),
        "per_class": [
            {
                "class": name,
                "ap": _number(dense.ap[k]),
                "positives": int(dense.positives[k]),
                "chance": _number(dense.chance[k]),
                "ap_25": _number(instants.ap[k]),
                "positives_25": int(instants.positives[k]),
            }
            for k, name in enumerate(classes)
        ],
    }


@dataclass(frozen=True)
class _Part:
    """The N rows of one video: what is shown, when it is asked, what was predicted.

    Attributes:
        segments: actions.
        label: (segments, classes) -> (K, N).
        at_s: (N,), times of the rows.
        streams: logits; none ranks the rows last.
    """

    segments: Sequence[Segment]
    label: Callable[[Sequence[Segment], Mapping[str, int]], Array]
    at_s: Array
    streams: Sequence[Stream]

    def labels(self, classes: Mapping[str, int]) -> Array:
        """Labels (K, N) of some classes."""
        inside = [segment for segment in self.segments if segment.label in classes]
        return self.label(inside, classes)

    def scores(self, columns: slice) -> Array:
        """Mean logits (K, N) of some classes."""
        if not self.streams:
            return np.full((columns.stop - columns.start, len(self.at_s)), -np.inf)
        return average(self.streams, self.at_s, columns).T


def _rank(parts: Sequence[_Part], classes: Mapping[str, int], threads: int) -> Scores:
    """AP of every class; a block of classes at a time, all rows of it in memory."""
    rows = sum(len(part.at_s) for part in parts)
    ap, positives = [], []
    for block in _blocks(len(classes), rows):
        inside = {
            name: column - block.start
            for name, column in classes.items()
            if block.start <= column < block.stop
        }
        scores = np.empty((len(inside), rows))
        labels = np.empty((len(inside), rows), dtype=np.uint8)
        row = 0
        for part in parts:
            span = slice(row, row + len(part.at_s))
            scores[:, span], labels[:, span] = part.scores(block), part.labels(inside)
            row = span.stop
        first = block.start
        ap.append(class_average_precision(scores, labels, "row_order", threads, first))
        positives.append(labels.sum(axis=1, dtype=np.int64))
    return Scores(np.concatenate(ap), np.concatenate(positives), rows)


def _blocks(classes: int, rows: int) -> Iterator[slice]:
    width = max(1, BLOCK_BYTES // (8 * max(rows, 1)))
    for start in range(0, classes, width):
        yield slice(start, min(start + width, classes))


def _means(dense: Array, instants: Array, positives: Array) -> dict[str, Any]:
    return {
        "dense_map": _number(mean_over_present(dense)),
        "map_25": _number(mean_over_present(instants)),
        "map_25_weighted": _number(weighted_mean_over_present(instants, positives)),
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
