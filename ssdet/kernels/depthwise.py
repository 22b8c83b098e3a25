"""Depthwise 3x3x3 convolution with a sane gradient on CPUs.

PyTorch's CPU backward of a depthwise conv3d takes many times its forward. The gradient
of the input is itself a depthwise convolution, of the output's gradient with the
mirrored kernel (zeros put between its pixels first, where the stride was 2), and oneDNN
runs that fast in channels_last_3d. The gradient of the weight stays PyTorch's own. On
other devices, `F.conv3d` does all, or Triton kernels where they are switched on (`gpu`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ssdet.kernels.gpu.switch import covers


def depthwise_conv3d(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve each channel with its own 3x3x3 kernel, zero padding 1, no bias.

    Args:
        x: (B, C, T, H, W).
        weight: (C, 1, 3, 3, 3).
        stride: spatial stride, 1 or 2; the temporal stride is 1.

    Returns:
        (B, C, T, ceil(H / stride), ceil(W / stride)), equal to
        `F.conv3d(x, weight, stride=(1, stride, stride), padding=1, groups=C)`.

    Raises:
        ValueError: `weight` is not (C, 1, 3, 3, 3) or `stride` is not 1 or 2.
    """
    if weight.shape != (x.shape[1], 1, 3, 3, 3):
        raise ValueError(
            f"a depthwise kernel for {x.shape[1]} channels has shape"
            f" ({x.shape[1]}, 1, 3, 3, 3), got {tuple(weight.shape)}"
        )
    if stride not in (1, 2):
        raise ValueError(f"the spatial stride must be 1 or 2, got {stride}")
    if covers(x, weight):
        from ssdet.kernels.gpu.depthwise import depthwise

        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        return depthwise(x, weight, stride)
    if x.device.type == "cpu" and x.requires_grad and torch.is_grad_enabled():
        if torch.is_autocast_enabled("cpu"):  # which does not look into what follows
            half = torch.get_autocast_dtype("cpu")
            x, weight = x.to(half), weight.to(half)
        return _DepthwiseConv3d.apply(x, weight, stride)
    return _convolve(x, weight, stride)


def _convolve(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    return F.conv3d(x, weight, None, (1, stride, stride), 1, 1, x.shape[1])


class _DepthwiseConv3d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last_3d)
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return _convolve(x, weight, stride)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last_3d)
        stride = ctx.stride
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            to_x = _convolve(
                _spread(gradient, x.shape[3:], stride), weight.flip(2, 3, 4), 1
            )
        if ctx.needs_input_grad[1]:
            # in half precision it would take several times longer
            exact = torch.promote_types(weight.dtype, torch.float32)
            to_weight = torch.ops.aten.convolution_backward(
                gradient.to(exact),
                x.to(exact),
                weight.to(exact),
                None,
                (1, stride, stride),
                (1, 1, 1),
                (1, 1, 1),
                False,
                (0, 0, 0),
                x.shape[1],
                (False, True, False),
            )[1].to(weight.dtype)
        return to_x, to_weight, None


def _spread(gradient: Tensor, size: torch.Size, stride: int) -> Tensor:
    """Put zeros between the pixels of a strided convolution's gradient."""
    if stride == 1:
        return gradient
    batch, channels, frames = gradient.shape[:3]
    spread = torch.empty(
        (batch, channels, frames, *size),
        dtype=gradient.dtype,
        device=gradient.device,
        memory_format=torch.channels_last_3d,
    ).zero_()
    spread[..., ::stride, ::stride] = gradient
    return spread
