"""Put frames of a batch of clips in another order, or take them from other clips."""

from __future__ import annotations

import torch
from torch import Tensor


def take_frames(video: Tensor, clips: Tensor | None, frames: Tensor | None) -> Tensor:
    """Copy frames into a new batch.

    The copy moves whole planes of H x W pixels: one read and one write of the batch,
    which is several times faster than gathering single pixels.

    Args:
        video: (B, C, T, H, W), contiguous for speed.
        clips: (B,) int64, clip to take each new clip from; None for itself.
        frames: (B, T) int64, frame to take each new frame from; None for the same.

    Returns:
        (B, C, T, H, W), never sharing memory with `video`.
    """
    if frames is None:
        if clips is None:
            return video.clone()
        return video.index_select(0, clips)
    batch, channels, length, height, width = video.shape
    if clips is None:
        clips = torch.arange(batch, device=video.device)
    channel = torch.arange(channels, device=video.device)
    volume = clips[:, None] * channels + channel  # (B, C)
    planes = volume[:, :, None] * length + frames[:, None]  # (B, C, T)
    return (
        video.reshape(-1, height * width)
        .index_select(0, planes.flatten())
        .view(video.shape)
    )


def take_columns(video: Tensor, clips: Tensor, first: Tensor, out: Tensor) -> None:
    """Fill `out` with columns of a batch, beginning elsewhere for each frame.

    Reads and writes each pixel once; gradients do not pass.

    Args:
        video: (B, C, T, H, W).
        clips: (B,) int64, clip to take each new clip from.
        first: (B, T) int64, column of `video` that becomes column 0 of `out`; all
            columns must exist.
        out: (B, C, T, H, n), may be part of a wider batch; written to.
    """
    windows = video.unfold(4, out.shape[4], 1)  # (B, C, T, H, positions, n), a view
    t = torch.arange(video.shape[2], device=video.device)
    where = [clips[:, None], None, t, None, first]
    # as `out.transpose(1, 2)[...] = windows[clips[:, None], :, t, :, first]` would, but
    # without its intermediate copy
    torch.ops.aten.index.Tensor_out(windows, where, out=out.transpose(1, 2))
