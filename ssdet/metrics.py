"""Per-class average precision, exact when scores are tied.

The rows of all videos are ranked together by falling score; the average precision (AP)
of a class is the mean, over its positive rows, of the precision at that row's rank.
Rows with equal scores keep their order, as in the official Charades script.

Source: heads_and_evaluation, section 4.1; Sigurdsson et al., ECCV 2016, localization
challenge script `Charades_v1_localize`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Ties = Literal["row_order", "grouped"]
COLUMNS = 16  # classes ranked in one go: a cache line of float32 scores
PIECE = 256  # rows
FEW = 2**17  # rows that are sorted in one go
BINS = 2**19
SAMPLE = 4096  # rows that the width of the bins is chosen by


def average_precision(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    ties: Ties = "row_order",
    threads: int = 1,
) -> npt.NDArray[np.float64]:
    """Average precision of each class.

    Works through blocks of classes, so it needs little memory beside its arguments.

    Args:
        scores: (N, K), finite or infinite, higher is surer; float32 stays float32.
            Logits are better than probabilities, which round to ties near 0 and 1.
        labels: (N, K), 0 or 1.
        ties: `row_order` ranks equal scores in row order; `grouped` lets them share one
            threshold, as scikit-learn does.
        threads: how many classes are ranked at once; changes no value.

    Returns:
        (K,) in [0, 1], NaN for a class without positive rows.

    Raises:
        ValueError: the shapes differ, a score is NaN, a label is neither 0 nor 1.
    """
    scores, labels = _as_scores(scores), np.asarray(labels)
    if scores.ndim != 2 or scores.shape != labels.shape:
        raise ValueError(
            "scores and labels must both be (rows, classes), got"
            f" {scores.shape} and {labels.shape}"
        )
    starts = range(0, scores.shape[1], COLUMNS)

    def block(start: int) -> Array:
        return class_average_precision(
            _class_major(scores, start),
            _class_major(labels, start),
            ties,
            first_class=start,
        )

    with ThreadPoolExecutor(threads) as pool:  # NumPy sorts without Python's lock
        return np.concatenate([np.empty(0), *pool.map(block, starts)])


def class_average_precision(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    ties: Ties = "row_order",
    threads: int = 1,
    first_class: int = 0,
) -> npt.NDArray[np.float64]:
    """`average_precision` of arrays whose first axis is the class.

    Args:
        scores: (K, N), as above.
        labels: (K, N), 0 or 1.
        ties: as above.
        threads: as above.
        first_class: number of the first class, for messages.

    Returns:
        (K,) in [0, 1], NaN for a class without positive rows.

    Raises:
        ValueError: as above.
    """
    scores, labels = _as_scores(scores), np.asarray(labels)
    if scores.ndim != 2 or scores.shape != labels.shape:
        raise ValueError(
            "scores and labels must both be (classes, rows), got"
            f" {scores.shape} and {labels.shape}"
        )
    _refuse_nan(scores, first_class)
    positive = _as_positive(labels)

    def one(row: int) -> float:
        return _one_class(scores[row], positive[row], ties)

    with ThreadPoolExecutor(threads) as pool:
        return np.array(list(pool.map(one, range(len(scores)))), dtype=np.float64)


def positives(labels: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Number of positive rows of each class, of labels (N, K)."""
    return np.count_nonzero(np.asarray(labels), axis=0).astype(np.int64)


def mean_over_present(ap: npt.ArrayLike) -> float:
    """Mean of the APs (K,) of the classes that have positive rows (mAP); NaN if none.

    The official script gives NaN as soon as one class is absent, the torchnet meter
    counts such a class as 0. Neither says anything of the detector.
    """
    ap = np.asarray(ap, dtype=np.float64)
    return _mean(ap, np.ones_like(ap))


def weighted_mean_over_present(ap: npt.ArrayLike, positives: npt.ArrayLike) -> float:
    """Mean of the APs (K,) weighted by each class's positive rows (K,) (wAP)."""
    return _mean(np.asarray(ap, dtype=np.float64), np.asarray(positives, np.float64))


def descending_order(scores: Array) -> npt.NDArray[np.int64]:
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


def _one_class(scores: Array, positive: Array, ties: Ties) -> float:
    order, skipped = _order_that_matters(scores, positive)
    place = np.flatnonzero(positive[order])  # (P,), of the positives, from 0
    if not place.size:
        return float("nan")
    hits = np.arange(1, place.size + 1)
    if ties == "grouped":
        ranked = scores[order]
        last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        place = last[np.searchsorted(last, place)]  # end of each positive's run of ties
        hits = np.searchsorted(place, place, side="right")
    return float(np.mean(hits / (place + skipped[place] + 1)))


def _order_that_matters(scores: Array, positive: Array) -> tuple[Array, Array]:
    """Rows by falling score, without most of those that lie between two positives.

    The rows are counted in bins of equal width. Only those that share a bin with a
    positive must be sorted to know the positives' ranks; that is a small part of them,
    and no bad choice of the bins can make a rank wrong.

    Args:
        scores: (N,), no NaN.
        positive: (N,), bool.

    Returns:
        Row numbers (M,) by falling score, equal scores in row order, and (M,): how many
        rows left out rank ahead of each.
    """
    bins = _bins(scores) if len(scores) > FEW else None
    if bins is None:
        order = descending_order(scores)
        return order, np.zeros(len(order), dtype=np.int64)
    wanted = np.zeros(BINS, dtype=np.bool_)
    wanted[bins[positive]] = True
    rows = np.flatnonzero(wanted[bins])
    count = np.bincount(bins, minlength=BINS)
    ahead = np.cumsum(count) - count  # rows in better bins
    order = rows[descending_order(scores[rows])]
    bins = bins[order]
    starts = np.append(True, bins[1:] != bins[:-1]) if bins.size else bins > 0
    first = np.maximum.accumulate(np.where(starts, np.arange(bins.size), 0))
    return order, ahead[bins] - first


def _bins(scores: Array) -> Array | None:
    """Bin (N,) of each row, 0 for the highest scores; None if there is no width."""
    sample = np.sort(scores[:: len(scores) // SAMPLE + 1])
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return None
    edge = sample.size // 1000  # the few beyond these share the first and last bin
    low, high = sample[edge], sample[-1 - edge]
    with np.errstate(over="ignore"):
        width = high - low
        if not 0 < width < np.inf:
            return None
        place = (high - scores) / width * scores.dtype.type(BINS)
    return np.clip(place, 0, BINS - 1, out=place).astype(np.int32)


def _mean(ap: Array, weight: Array) -> float:
    present = ~np.isnan(ap)
    if not present.any():
        return float("nan")
    return float(np.average(ap[present], weights=weight[present]))


def _as_scores(scores: npt.ArrayLike) -> Array:
    scores = np.asarray(scores)
    if scores.dtype == np.float16:
        return scores.astype(np.float32)
    if scores.dtype not in (np.float32, np.float64):
        return scores.astype(np.float64)
    return scores


def _as_positive(labels: Array) -> Array:
    if labels.dtype == np.bool_:
        return labels
    if labels.size and (labels.min() < 0 or labels.max() > 1):
        found = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"labels must be 0 or 1, found {found}")
    positive = labels.astype(np.bool_)
    if not np.issubdtype(labels.dtype, np.integer) and (positive != labels).any():
        raise ValueError(
            f"labels must be 0 or 1, found {labels[positive != labels].flat[0]};"
            " AP has no meaning for shares of a label"
        )
    return positive


def _class_major(array: Array, start: int) -> Array:
    """Columns from `start` as rows, copied in pieces that stay in the cache."""
    columns = array[:, start : start + COLUMNS]
    out = np.empty(columns.shape[::-1], dtype=array.dtype)
    for row in range(0, len(array), PIECE):
        out[:, row : row + PIECE] = columns[row : row + PIECE].T
    return out


def _refuse_nan(scores: Array, first_class: int) -> None:
    bad = np.isnan(scores)
    if bad.any():
        classes = np.flatnonzero(bad.any(axis=1))
        row = np.flatnonzero(bad[classes[0]])[0]
        raise ValueError(
            f"{bad.sum()} scores are NaN, first row {row} of class number"
            f" {first_class + classes[0]}. NaN has no rank: look for an overflow in the"
            " model that gave these scores"
        )
