"""Rows of many videos, ranked together class by class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ssdet.data.annotations import Segment
from ssdet.data.interpolate import Stream, average
from ssdet.metrics import class_average_precision

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


@dataclass(frozen=True)
class Part:
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


def rank(parts: Sequence[Part], classes: Mapping[str, int], threads: int) -> Scores:
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
