"""Per-class average precision, exact when scores are tied.

The rows of all videos are ranked together by falling score; the average precision (AP)
of a class is the mean, over its positive rows, of the precision at that row's rank.
Rows with equal scores keep their order, as in the official Charades script.

Source: heads_and_evaluation, section 4.1; Sigurdsson et al., ECCV 2016, localization
challenge script `Charades_v1_localize`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ssdet.ranks import descending_order, ranks_of

Array = npt.NDArray[Any]
Ties = Literal["row_order", "grouped"]
COLUMNS = 32  # classes that all threads together hold, class by class, at once
PIECE = 256  # rows that are turned round in one go, within the cache


class NotANumberError(ValueError):
    """Scores are NaN."""


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
    classes = scores.shape[1]
    rows = _rows_of_classes(_as_positive(labels))
    ap = np.empty(classes)
    width = max(1, min(COLUMNS, classes) // threads)

    def share(first: int) -> None:
        held = np.empty((width, len(scores)), scores.dtype)
        for start in range(first * width, classes, threads * width):
            block = slice(start, start + width)
            of_class = _class_major(scores[:, block], held)
            _refuse_nan(of_class, start)
            for number, own in enumerate(of_class, start):
                ap[number] = _one_class(own, rows[number], ties)

    _in_threads(share, threads)
    return ap


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
    positive = _as_positive(labels)
    _refuse_nan(scores, first_class)
    ap = np.empty(len(scores))

    def share(first: int) -> None:
        for number in range(first, len(scores), threads):
            rows = np.flatnonzero(positive[number])
            ap[number] = _one_class(scores[number], rows, ties)

    _in_threads(share, threads)
    return ap


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


def _in_threads(share: Callable[[int], None], threads: int) -> None:
    """Do every thread's share; NumPy counts and sorts without Python's lock."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(share, range(threads)))


def _one_class(scores: Array, rows: Array, ties: Ties) -> float:
    """AP of scores (N,), of which the rows (P,) are positive."""
    if not rows.size:
        return float("nan")
    ranks = ranks_of(scores, rows)
    hits = np.arange(1, rows.size + 1)
    if ties == "grouped":
        ranked = scores[descending_order(scores)]
        last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        ranks = last[np.searchsorted(last, ranks)]  # end of each positive's run of ties
        hits = np.searchsorted(ranks, ranks, side="right")
    return float(np.mean(hits / (ranks + 1)))


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
    """The labels as booleans; those of one byte are not copied."""
    if labels.dtype == np.bool_:
        return labels
    if labels.size and (labels.min() < 0 or labels.max() > 1):
        found = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"labels must be 0 or 1, found {found}")
    if labels.dtype in (np.uint8, np.int8):
        return labels.view(np.bool_)
    positive = labels.astype(np.bool_)
    if not np.issubdtype(labels.dtype, np.integer) and (positive != labels).any():
        raise ValueError(
            f"labels must be 0 or 1, found {labels[positive != labels].flat[0]};"
            " AP has no meaning for shares of a label"
        )
    return positive


def _rows_of_classes(positive: Array) -> list[Array]:
    """Row numbers of the positives of each class, of (N, K)."""
    classes = positive.shape[1]
    row, number = np.divmod(np.flatnonzero(positive), max(classes, 1))
    order = np.argsort(number.astype(np.uint16), kind="stable")  # counts, as for ranks
    ends = np.cumsum(np.bincount(number, minlength=classes))
    return np.split(row[order], ends[:-1]) if classes else []


def _class_major(columns: Array, held: Array) -> Array:
    """Columns (N, C) as rows, copied into `held` in pieces that stay in the cache."""
    out = held[: columns.shape[1]]
    for row in range(0, len(columns), PIECE):
        out[:, row : row + PIECE] = columns[row : row + PIECE].T
    return out


def _refuse_nan(scores: Array, first_class: int) -> None:
    worst = scores.max(axis=1, initial=-np.inf)  # NaN wherever one is
    if np.isnan(worst).any():
        bad = np.isnan(scores)
        classes = np.flatnonzero(bad.any(axis=1))
        row = np.flatnonzero(bad[classes[0]])[0]
        raise NotANumberError(
            f"{bad.sum()} scores are NaN, first row {row} of class number"
            f" {first_class + classes[0]}. NaN has no rank: look for an overflow in the"
            " model that gave these scores"
        )
