"""Grid Unpool: bring logits of grid-pooled frames back to even times.

Source: Kahatapitiya and Ryoo, CVPR 2021 (arXiv:2103.01302), section 3.2.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ssdet.models.grid_pool import RATIO
from ssdet.models.precision import full, no_autocast
from ssdet.models.time_sampling import read_at

Unpool = Literal["resize", "direct"]
EPS = torch.finfo(torch.float32).eps


def inverse_grid(grid: Tensor, times: Tensor) -> Tensor:
    """Invert the piecewise linear map from k / L to grid[k].

    Args:
        grid: (B, L + 1), not falling, from 0 to 1.
        times: (M,), in [0, 1].

    Returns:
        (B, M): the fraction of the sampled frames that lies before each time.
        Gradients reach `grid`.
    """
    bins = grid.shape[1] - 1
    times = times.to(grid).expand(len(grid), -1).contiguous()  # (B, M)
    below = torch.searchsorted(grid.detach().contiguous(), times)  # strictly below
    step = (below - 1).clamp(0, bins - 1)
    start, end = grid.gather(1, step), grid.gather(1, step + 1)
    return (step + (times - start) / (end - start + EPS)) / bins


def grid_unpool(logits: Tensor, grid: Tensor, how: Unpool) -> Tensor:
    """Spread logits of sampled frames evenly over the clip.

    Args:
        logits: (B, N, L + 1), at the times of `grid`.
        grid: (B, L + 1), as `GridPool` gave it.
        how: `resize` reads L + 1 even times and resizes those to 4 L, as the reference
            does; `direct` reads the 4 L times at once, and so keeps what dense
            sampling found.

    Returns:
        (B, N, 4 L), float32 or better; sample n is at fraction n / (4 L - 1) of the
        clip. Logits linear in time come back from both, within EPS of their range.
        Otherwise `resize` is off `direct` by at most M / (2 L), where M is the steepest
        change of logits from one sampled frame to the next, for a whole clip.
    """
    bins = grid.shape[1] - 1
    with no_autocast(logits):
        logits, grid = full(logits), full(grid)
        samples = bins + 1 if how == "resize" else RATIO * bins
        times = torch.arange(samples, device=grid.device, dtype=grid.dtype)
        fractions = inverse_grid(grid, times / (samples - 1))
        even = read_at(logits, fractions * bins)  # (B, N, samples)
        if how == "direct":
            return even
        return F.interpolate(even, size=RATIO * bins, mode="linear", align_corners=True)
