"""Ranks of a few rows among many, by falling score; equal scores keep the row order.

An average precision needs the ranks of a class's positive rows, a few in a hundred, and
not the order of all others. Counting the rows in narrow bins gives most of a rank; only
rows that share a bin with a wanted row are compared with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Counts = npt.NDArray[np.int64]
FEW = 2**16  # rows that are sorted in one go
BINS = 2**19  # the more, the fewer rows share one; half of them fit a level-2 cache
PIECE = 2**15  # rows whose bins are computed in one go, within the cache
SAMPLE = 4096  # rows that the width of the bins is chosen by


def rows_ahead(scores: Array, rows: Array, space: Counts | None = None) -> Counts:
    """Count, for some rows, the rows that rank before each of them.

    Args:
        scores: (N,), float32 or float64, no NaN.
        rows: (P,), distinct row numbers.
        space: (N,), to work in, for callers that ask more than once.

    Returns:
        (P,), from 0: the rank of each, as of a stable sort of all rows.
    """
    width = _width(scores) if len(scores) > FEW else None
    if width is None:
        rank = np.empty(len(scores), dtype=np.int64)
        rank[descending_order(scores)] = np.arange(len(scores))
        return rank[rows]
    bins = np.empty(len(scores), dtype=np.int64) if space is None else space
    _fill_bins(bins, scores, *width)
    own = bins[rows]
    count = np.bincount(bins, minlength=BINS)
    alike = count[own]
    ahead = np.cumsum(count, out=count)[own] - alike  # all rows of better bins

    wanted = np.zeros(BINS, dtype=np.bool_)
    wanted[own] = True
    near = np.flatnonzero(wanted[bins])
    near_bins = bins[near]
    # one wanted row of each bin is compared with the rows there, the others sorted
    holder = np.empty(BINS, dtype=np.int32)
    holder[own] = np.arange(len(rows))
    ahead += _ahead_of_holders(scores, rows, near, holder[near_bins])
    others = np.flatnonzero(holder[own] != np.arange(len(rows)))
    if others.size:
        wanted[:] = False
        wanted[own[others]] = True
        crowd = wanted[near_bins]
        among = _ahead_among(scores, rows[others], near[crowd], near_bins[crowd])
        ahead[others] += among
    return ahead


def descending_order(scores: Array) -> Counts:
    """Row numbers by falling score, equal scores in row order.

    A stable sort by 16-bit digits, the lowest first: NumPy sorts 16-bit integers by
    counting, in a fraction of the time that a stable sort of floats takes.

    Args:
        scores: (N,), float32 or float64, no NaN.
    """
    signed = np.int32 if scores.dtype == np.float32 else np.int64
    # + 0.0 turns -0.0 into 0.0, which it equals in all but its bits.
    bits = (scores + scores.dtype.type(0)).view(signed)
    # The bits of floats count up from 0.0 and, below it, down from the sign bit: turn
    # the former round, and as unsigned numbers they all fall while the score rises.
    turn = np.where(bits < 0, signed(0), signed(np.iinfo(signed).max))
    key = (bits ^ turn).view(f"u{bits.itemsize}")
    order = np.argsort(key.astype(np.uint16), kind="stable")
    for shift in range(16, 8 * bits.itemsize, 16):
        digit = (key >> key.dtype.type(shift)).astype(np.uint16)
        order = order[np.argsort(digit[order], kind="stable")]
    return order


def _ahead_of_holders(scores: Array, rows: Array, near: Array, place: Array) -> Counts:
    """How many of the rows `near` (M,) beat the holder of their bin, for all (P,).

    Args:
        scores: (N,).
        rows: (P,), wanted rows.
        near: (M,), rows that share a bin with a wanted row.
        place: (M,), which of `rows` holds that bin.
    """
    score, held = scores[near], scores[rows][place]
    beats = score > held
    tied = np.flatnonzero(score == held)
    beats[tied] = near[tied] < rows[place[tied]]
    return np.bincount(place[beats], minlength=len(rows))


def _ahead_among(scores: Array, rows: Array, near: Array, bins: Array) -> Counts:
    """How many of the rows `near` (M,) of its bin beat each of some rows (P,).

    Args:
        scores: (N,).
        rows: (P,), all of them among `near`.
        near: (M,), rising: every row of some bins.
        bins: (M,), their bins.
    """
    order = descending_order(scores[near])
    bins = bins[order]
    starts = np.append(True, bins[1:] != bins[:-1])
    first = np.maximum.accumulate(np.where(starts, np.arange(bins.size), 0))
    within = np.empty(near.size, dtype=np.int64)
    within[order] = np.arange(near.size) - first
    return np.asarray(within[np.searchsorted(near, rows)])


def _width(scores: Array) -> tuple[Any, Any] | None:
    """Score at which the first bin starts, and bins per score; None if all are alike.

    A thousandth of the rows at either end share the first and the last bin, lest a few
    outliers make all bins too wide.
    """
    sample = np.sort(scores[:: len(scores) // SAMPLE + 1])
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return None
    edge = sample.size // 1000
    low, high = sample[edge], sample[-1 - edge]
    with np.errstate(over="ignore", divide="ignore"):
        per_score = scores.dtype.type(BINS) / (high - low)
    return (high, per_score) if 0 < per_score < np.inf else None


def _fill_bins(bins: Counts, scores: Array, high: Any, per_score: Any) -> None:
    """Write the bin of each row, 0 for the highest scores.

    No row of a higher score is in a later bin, whatever the width: subtraction and
    multiplication round monotonically.
    """
    place = np.empty(min(PIECE, len(scores)), dtype=scores.dtype)
    with np.errstate(over="ignore"):
        for start in range(0, len(scores), PIECE):
            piece = scores[start : start + PIECE]
            out = place[: len(piece)]
            np.subtract(high, piece, out=out)
            np.multiply(out, per_score, out=out)
            bins[start : start + PIECE] = np.clip(out, 0, BINS - 1, out=out)
