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
    planes = (
        _volumes(clips, channels)[:, :, None] * length + frames[:, None]
    )  # (B, C, T)
    return (
        video.reshape(-1, height * width)
        .index_select(0, planes.flatten())
        .view(video.shape)
    )


def take_columns(video: Tensor, clips: Tensor, first: Tensor, out: Tensor) -> None:
    """Fill `out` with columns of a batch, beginning elsewhere in each frame.

    The copy moves whole stretches of rows: each pixel is read and written once. Where
    gradients are to pass, single pixels are gathered instead, which is slower.

    Args:
        video: (B, C, T, H, W), contiguous for speed.
        clips: (B,) int64, clip to take each new clip from.
        first: (B, T) int64, column of `video` that becomes column 0 of `out`; all
            columns must exist.
        out: (B * C * T * H, n), rows of a batch or part of them; written to.
    """
    if video.requires_grad and torch.is_grad_enabled():
        out.copy_(_gather_columns(video, clips, first, out.shape[1]))
        return
    _, channels, frames, height, width = video.shape
    t = torch.arange(frames, device=video.device)
    h = torch.arange(height, device=video.device)
    planes = _volumes(clips, channels)[:, :, None] * frames + t  # (B, C, T)
    rows = planes[..., None] * height + h  # (B, C, T, H)
    begin = rows * width + first[:, None, :, None]
    stretches = video.reshape(-1).unfold(0, out.shape[1], 1)  # (pixels, n), a view
    torch.index_select(stretches, 0, begin.flatten(), out=out)


def _gather_columns(video: Tensor, clips: Tensor, first: Tensor, count: int) -> Tensor:
    """What `take_columns` writes, (B * C * T * H, count), with its gradient."""
    columns = first[..., None] + torch.arange(count, device=video.device)  # (B, T, n)
    index = columns[:, None, :, None].expand(-1, *video.shape[1:4], -1)
    return video[clips].gather(4, index).flatten(0, 3)


def _volumes(clips: Tensor, channels: int) -> Tensor:
    """Number of each channel of clips (B,) among all channels of a batch: (B, C)."""
    return clips[:, None] * channels + torch.arange(channels, device=clips.device)
