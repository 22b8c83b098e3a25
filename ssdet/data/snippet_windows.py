"""Long videos as windows of snippets, where resampling would lose short actions.

Source: spec of SPOT, section 3.5.
"""

from __future__ import annotations

import torch
from torch import Tensor


def window_starts(rows: int, length: int, overlap: float) -> list[int]:
    """Where windows begin that cover a video; the last one ends with it.

    Args:
        rows: of the video, at least 1.
        length: of a window, rows.
        overlap: of one window with the next, in [0, 1).

    Returns:
        First rows, rising; one window of a video that is no longer than it.
    """
    step = max(1, round(length * (1 - overlap)))
    last = max(0, rows - length)
    return [*range(0, last, step), last]


def cut(features: Tensor, start: int, length: int) -> Tensor:
    """One window (C, length) of features (L, C); rows after the end are zero."""
    window = torch.zeros(features.shape[1], length)
    rows = features[start : start + length]
    window[:, : len(rows)] = rows.T
    return window


def share_inside(start: float, end: float, first: float, last: float) -> float:
    """The share of [start, end) that lies in [first, last); 0 if it has no length."""
    inside = min(end, last) - max(start, first)
    return max(0.0, inside) / (end - start) if end > start else 0.0
