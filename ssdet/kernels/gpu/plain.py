"""What the Triton kernels compute, in plain PyTorch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ssdet.kernels.compiled_norm import EPS, Activation

Epilogue = Literal["relu", "silu"]
Moments = tuple[Tensor, Tensor]


def depthwise(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve (B, C, T, H, W), each channel with its own kernel (C, 1, ...)."""
    padding = [side // 2 for side in weight.shape[2:]]
    steps = (1, stride, stride)
    return F.conv3d(x, weight.to(x.dtype), None, steps, padding, 1, x.shape[1])


def moments(x: Tensor) -> Moments:
    """Mean of each clip's channels, and sum of squared differences from it.

    Args:
        x: (B, C, T, H, W).

    Returns:
        Two tensors (B, C), float64.
    """
    values = x.detach().double().flatten(2)
    mean = values.mean(2)
    return mean, (values - mean[..., None]).square().sum(2)


def depthwise_moments(
    x: Tensor, weight: Tensor, stride: int
) -> tuple[Tensor, Tensor, Tensor]:
    """A depthwise convolution and the moments of its result."""
    out = depthwise(x, weight, stride)
    return out, *moments(out)


def depthwise_scaled(
    x: Tensor,
    weight: Tensor,
    stride: int,
    scale: Tensor,
    shift: Tensor,
    epilogue: Epilogue,
) -> Tensor:
    """epilogue(convolution * scale + shift), scale and shift (C,)."""
    wide = depthwise(_wide(x), weight.to(x.dtype), stride)
    sums = wide * scale.view(-1, 1, 1, 1) + shift.view(-1, 1, 1, 1)
    return activate(sums, epilogue).to(x.dtype)


def apply(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    activation: Activation,
    other: Tensor | None = None,
) -> Tensor:
    """activation(x * scale + shift + other), scale and shift (B, C)."""
    size = (*scale.shape, 1, 1, 1)
    sums = _wide(x) * scale.view(size) + shift.view(size)
    if other is not None:
        sums = sums + other
    return activate(sums, activation).to(x.dtype)


def norm_act(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
    other: Tensor | None = None,
) -> Tensor:
    """activation(batch normalised x * weight + bias + other), one group of clips."""
    sums = F.batch_norm(_wide(x), None, None, weight, bias, True, 0.0, EPS)
    if other is not None:
        sums = sums + other
    return activate(sums, activation).to(x.dtype)


def activate(x: Tensor, activation: Activation) -> Tensor:
    """Nothing, ReLU or SiLU (swish)."""
    if activation == "relu":
        return F.relu(x)
    return F.silu(x) if activation == "silu" else x


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
