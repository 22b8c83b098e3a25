"""Gaussian alignment: how much each fine frame tells each coarse frame.

Source: Kahatapitiya and Ryoo, CVPR 2021 (arXiv:2103.01302), section 3.3.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ssdet.models.precision import full, no_autocast

Compat = Literal["fixed", "reference"]
SCALE = 1 / 8  # standard deviation over the number of valid fine frames


def grid_centres(grid: Tensor, frames: int, start: Tensor, compat: Compat) -> Tensor:
    """Where the frames of Grid Pool lie among the fine frames.

    Args:
        grid: (B, K), fraction of the clip.
        frames: T, of the clip before Grid Pool.
        start: (B,), first frame of the clip, in fine frames.
        compat: `fixed` puts the last frame at T - 1, where Grid Pool reads it;
            `reference` at T.

    Returns:
        (B, K), in fine frames.
    """
    last = frames - 1 if compat == "fixed" else frames
    return full(grid) * last + start.to(full(grid))[:, None]


def even_centres(count: int, ratio: int, start: Tensor, compat: Compat) -> Tensor:
    """Where coarse frames lie that hold `ratio` frames each, or are every ratio-th.

    Args:
        count: K.
        ratio: frames of the clip for each coarse frame.
        start: (B,), first frame of the clip, in fine frames.
        compat: `reference` takes `ratio` for 1, whatever it is.

    Returns:
        (B, K), in fine frames.
    """
    step = ratio if compat == "fixed" else 1
    start = full(start)
    steps = torch.arange(count, device=start.device, dtype=start.dtype)
    return steps * step + start[:, None]


def gaussian_alignment(
    centres: Tensor, mask: Tensor, window: int | None = None
) -> Tensor:
    """Weigh fine frames by their distance from each centre.

    Args:
        centres: (B, K), in fine frames.
        mask: (B, T'), 1 on valid fine frames. The valid number of them sets the width.
        window: fine frames that training sees; more valid ones do not widen further.

    Returns:
        (B, T', K), at most 1 and about 1 at the fine frame nearest to each centre.
    """
    with no_autocast(centres):
        centres, valid = full(centres), full(mask).sum(1)  # (B,)
        if window is not None:
            valid = valid.clamp(max=window)
        width = (valid * SCALE)[:, None, None]
        times = torch.arange(mask.shape[1], device=mask.device, dtype=centres.dtype)
        distance = times[None, :, None] - centres[:, None]  # (B, T', K)
        weight = torch.exp(-distance.square() / (2 * width.square() + 1e-16))
        return weight / (weight.amax(1, keepdim=True) + 1e-16)
