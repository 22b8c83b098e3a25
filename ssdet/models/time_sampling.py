"""Reading a sequence between its samples."""

from __future__ import annotations

import torch
from torch import Tensor

from ssdet.models.precision import full, no_autocast


def read_at(x: Tensor, positions: Tensor) -> Tensor:
    """Interpolate linearly along time.

    Args:
        x: (B, C, T, ...).
        positions: (B, K), in samples; outside [0, T - 1] the nearest sample counts.

    Returns:
        (B, C, K, ...) of x's type, computed in float32 or better. Gradients reach `x`
        and `positions` (the slope to the right where a position is on a sample).
    """
    last = x.shape[2] - 1
    with no_autocast(x):
        positions = full(positions).clamp(0, last)  # (B, K)
        # A position that is no number gives values that are none, not an error here.
        whole = positions.detach().floor().nan_to_num(0.0)
        before = whole.long().clamp(max=max(last - 1, 0))
        after = (before + 1).clamp(max=last)
        clip = torch.arange(len(x), device=x.device)[:, None]  # (B, 1)
        samples = x.movedim(2, 1)  # (B, T, C, ...)
        left = full(samples[clip, before])  # (B, K, C, ...)
        right = full(samples[clip, after])
        fraction = (positions - before).to(left.dtype)
        fraction = fraction.reshape(*fraction.shape, *(1,) * (x.ndim - 2))
        out = left + fraction * (right - left)
    return out.to(x.dtype).movedim(1, 2)
