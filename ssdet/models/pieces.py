"""Long videos in stretches of frames, with the result of a single pass.

A whole video at once needs memory for its widest layer: 54 channels at half the input's
side, in X3D-M three times the video itself. What a layer does to a frame depends on a
few neighbours, so these layers can take a stretch at a time, with those neighbours.
Squeeze-excitation depends on all frames: it sees the whole video, in the narrower maps
in between.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def in_pieces(
    function: Callable[..., Tensor], frames: int | None, reach: int, *given: Tensor
) -> Tensor:
    """Call a function for a few frames at a time.

    Args:
        function: gives (B, C', T, H', W') for tensors (B, C, T, H, W). Frame t of the
            result depends on frames t - reach to t + reach, and on zeros past the ends.
        frames: at a time; None: all.
        reach: frames to either side.
        given: the tensors, all of the same T.

    Returns:
        What `function` gives for all frames.
    """
    total = given[0].shape[2]
    if frames is None or total <= frames:
        return function(*given)
    out: Tensor | None = None
    for begin in range(0, total, frames):
        end = min(begin + frames, total)
        low, high = max(0, begin - reach), min(total, end + reach)
        piece = function(*(x[:, :, low:high] for x in given))
        if out is None:
            out = _like(piece, total)
        out[:, :, begin:end] = piece[:, :, begin - low : end - low]
    assert out is not None  # total is above `frames`
    return out


def set_frames_at_once(model: nn.Module, frames: int | None) -> None:
    """Let every part of `model` that can take so many frames at a time.

    Only in evaluation: statistics of a training batch need all frames.

    Args:
        model: the network.
        frames: at a time; None: all.
    """
    for module in model.modules():
        if hasattr(module, "frames_at_once"):
            module.frames_at_once = frames  # type: ignore[assignment]


def _like(piece: Tensor, frames: int) -> Tensor:
    """Room for all frames, in the memory layout of a piece."""
    shape = (*piece.shape[:2], frames, *piece.shape[3:])
    last = piece.is_contiguous(memory_format=torch.channels_last_3d)
    layout = torch.channels_last_3d if last else torch.contiguous_format
    return torch.empty(
        shape, dtype=piece.dtype, device=piece.device, memory_format=layout
    )
