"""AP of some of a class's positives, comparable with the AP of all of them.

The positives of a group (of long actions, say) are ranked among all negatives; the
positives of other groups are left out. As precision depends on how many positives there
are, each found positive counts as P / G, of the P positives of the class and the G of
the group: a class whose groups are equally hard has the same AP in every group.

Precision after the i-th positive of the group, n negatives being ranked before it:
(i P/G) / (i P/G + n). For the group of all positives this is the usual AP.

Source: normalised precision, Hoiem et al., ECCV 2012; for detection in time, Alwassel
et al., ECCV 2018 (DETAD).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ssdet.ranks import descending_order

Array = npt.NDArray[Any]
BLOCK = 16  # resamples in one go


@dataclass(frozen=True)
class RankedClass:
    """The N rows of one class by falling score.

    Attributes:
        order: (N,), row numbers.
        places: (P,), places of the positives in that order.
        rows: (P,), their row numbers.
    """

    order: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]


def ranked(scores: Array, positive: Array) -> RankedClass:
    """Rank one class's scores (N,), given which rows (N,) are positive."""
    order = descending_order(scores)
    places = np.flatnonzero(positive[order])
    return RankedClass(order, places, order[places])


def grouped_ap(of_class: RankedClass, groups: Array) -> npt.NDArray[np.float64]:
    """AP of each group of positives.

    Args:
        of_class: the ranked rows.
        groups: (G, P), bool: whether each positive, best ranked first, is in a group.

    Returns:
        (G,), NaN for groups without positives.
    """
    once = np.ones((1, len(of_class.order)), dtype=np.int32)
    return _weighted(of_class, groups, once)[0]


def resampled_ap(
    of_class: RankedClass, groups: Array, video: Array, counts: Array
) -> npt.NDArray[np.float64]:
    """AP of each group in resamples of the videos.

    Copies of a row share one threshold: precision is taken behind the last of them.

    Args:
        of_class: the ranked rows.
        groups: (G, P), bool.
        video: (N,), number of each row's video, in row order.
        counts: (R, V), how often each resample has each video.

    Returns:
        (R, G), NaN where a resample has no positive of a group.
    """
    column, counts = video[of_class.order], counts.astype(np.int32)
    blocks = [
        _weighted(of_class, groups, counts[start : start + BLOCK, column])
        for start in range(0, len(counts), BLOCK)
    ]
    return np.concatenate(blocks)


def _weighted(of_class: RankedClass, groups: Array, weights: Array) -> Array:
    """AP (R, G), of rows that count `weights` (R, N) times, in ranked order."""
    own = weights[:, of_class.places]  # (R, P)
    ahead = weights.cumsum(axis=1, dtype=np.int32)[:, of_class.places] - own.cumsum(
        axis=1
    )
    ap = np.full((len(weights), len(groups)), np.nan)
    for number, group in enumerate(groups):
        inside = own[:, group]  # (R, members)
        total = inside.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = inside.cumsum(axis=1) * (own.sum(axis=1, keepdims=True) / total)
            precision = found / (found + ahead[:, group])
            shares = np.where(inside > 0, inside * precision, 0.0)
            ap[:, number] = shares.sum(axis=1) / total[:, 0]
    return ap
