"""The stem where nothing is learned: convolutions, norm and ReLU at once, on CPUs.

Source: Feichtenhofer, CVPR 2020 (arXiv:2004.04730), table 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ssdet.kernels.compiled import DTYPES, call

LAST = torch.channels_last_3d


def stem(
    video: Tensor, space: Tensor, time: Tensor, norm: tuple[Tensor, Tensor]
) -> Tensor:
    """relu(scale * time(space(video)) + shift), without gradients.

    The map between the convolutions is never in memory as a whole.

    Args:
        video: (B, 3, T, H, W), covered by the compiled kernels.
        space: weights (C, 3, 1, 3, 3) of a convolution with stride 2 and padding 1.
        time: weights (C, 1, 5, 1, 1) of a depthwise convolution with padding 2.
        norm: scale and shift (C,).

    Returns:
        (B, C, T, ceil(H / 2), ceil(W / 2)).

    Raises:
        ValueError: the video has no three channels.
    """
    if video.shape[1] != 3:
        raise ValueError(f"a video has 3 channels, got {video.shape[1]}")
    if torch.is_autocast_enabled("cpu") and video.dtype == torch.float32:
        video = video.to(torch.get_autocast_dtype("cpu"))
    video, dtype = video.contiguous(memory_format=LAST), DTYPES[video.dtype]
    batch, _, frames, height, width = video.shape
    shape = (batch, len(space), frames, (height + 1) // 2, (width + 1) // 2)
    out = torch.empty(shape, dtype=video.dtype, memory_format=LAST)
    # (rows, columns, colours, C): nine numbers beside each other in a row of pixels
    taps = space.to(video.dtype).to(dtype)[:, :, 0].permute(2, 3, 1, 0).contiguous()
    later = time.to(video.dtype).to(dtype).flatten(1).T.contiguous()
    scale, shift = (each.to(dtype) for each in norm)
    sizes = (batch, frames, height, width, len(space))
    call("stem_forward", video.dtype, video, taps, later, scale, shift, out, sizes)
    return out
