"""Ranks by falling score; equal scores keep the row order.

An average precision needs the ranks of a class's positive rows, a few in a hundred, and
not the order of all others. Sorting those few and counting how many rows fall between
each two gives them: compiled code does that. Without a compiler all rows are sorted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Counts = npt.NDArray[np.int64]
FEW = 2**16  # rows that are sorted, lest PyTorch and the kernels are loaded for them


def ranks_of(scores: Array, rows: Array) -> Counts:
    """Ranks of some rows, those of a stable sort of all.

    Args:
        scores: (N,), float32 or float64, no NaN.
        rows: (P,), distinct row numbers, rising.

    Returns:
        (P,), from 0, rising: not in the order of `rows`.
    """
    if FEW < len(scores) < 2**31 and rows.size:
        found = _compiled(scores, rows)
        if found is not None:
            return found
    chosen = np.zeros(len(scores), dtype=np.bool_)
    chosen[rows] = True
    return np.flatnonzero(chosen[descending_order(scores)])


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


def _compiled(scores: Array, rows: Array) -> Counts | None:
    """`ranks_of` by the compiled kernels; None without them."""
    import torch

    from ssdet.kernels.compiled import call, covers

    all_scores = torch.from_numpy(np.ascontiguousarray(scores))
    if not covers(all_scores):
        return None
    own = scores[rows]
    order = descending_order(own)
    best, row = torch.from_numpy(own[order]), torch.from_numpy(rows[order])
    found = np.empty(len(rows), dtype=np.int64)
    sizes = (len(scores), len(rows))
    given = (all_scores, best, row, torch.from_numpy(found))
    call("ranks", all_scores.dtype, *given, sizes)
    return found
