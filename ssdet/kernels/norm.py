"""Batch normalisation with what follows it, in as few passes as it takes.

What a block does around its convolutions is scale and shift, gate, shortcut and
activation: here one pass over the map, and in backward two. All coefficients follow
from sums over each clip, (B, C), that compiled code computes; what is made of them
(groups of clips, squeeze-excitation) is small and in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ssdet.kernels.compiled import call

Activation = Literal["none", "relu", "silu"]
Gate = tuple[Tensor, Tensor, Tensor, Tensor]
NUMBER: dict[Activation, int] = {"none": 0, "relu": 1, "silu": 2}
Moments = tuple[Tensor, Tensor]  # see `moments`
EPS = 1e-5


@dataclass(frozen=True)
class Statistics:
    """What a batch is normalised by; (B, C), float64, contiguous.

    Attributes:
        mean: of the group of each clip.
        inverse: 1 / standard deviation, likewise.
        scale: `inverse` times the norm's weight.
        shift: what is then added: the norm's bias - mean * scale.
        clip_mean: of each clip; None if it was not asked for.
        groups: clip i belongs to group i mod `groups`; 0: the statistics are not of
            this batch, and have no gradient.
    """

    mean: Tensor
    inverse: Tensor
    scale: Tensor
    shift: Tensor
    clip_mean: Tensor | None
    groups: int


def batch_statistics(
    found: Moments,
    pixels: int,
    weight: Tensor,
    bias: Tensor,
    running: tuple[Tensor, Tensor],
    momentum: float,
) -> Statistics:
    """Statistics of a batch in training; the running ones learn of it, in place.

    Args:
        found: moments (B, C) of the clips.
        pixels: of a clip, over all frames.
        weight: (C,), of the norm.
        bias: (C,).
        running: mean and variance (groups, C), of the type of `weight`.
        momentum: weight of this batch in them; 0: they stay.
    """
    clip_mean, square = found
    groups, sizes = len(running[0]), tuple(clip_mean.shape)
    mean, inverse, scale, shift = torch.empty(4, *sizes, dtype=torch.float64)
    call(
        "norm_statistics",
        weight.dtype,
        *(clip_mean, square, weight, bias, *running, float(momentum), EPS),
        *(mean, inverse, scale, shift),
        (*sizes, pixels, groups, running[0].stride(0)),
    )
    return Statistics(mean, inverse, scale, shift, clip_mean, groups)


def fixed_statistics(
    clips: int,
    weight: Tensor,
    bias: Tensor,
    running: tuple[Tensor, Tensor],
    clip_mean: Tensor | None = None,
) -> Statistics:
    """Statistics that do not depend on the batch.

    Args:
        clips: B.
        weight: (C,), of the norm.
        bias: (C,).
        running: mean and variance (C,).
        clip_mean: (B, C), if it is needed.
    """
    mean, variance = (each.double() for each in running)
    inverse = (variance + EPS).rsqrt()
    scale = weight.double() * inverse
    shift = bias.double() - mean * scale
    mean, inverse, scale, shift = (
        each.repeat(clips, 1) for each in (mean, inverse, scale, shift)
    )
    return Statistics(mean, inverse, scale, shift, clip_mean, 0)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of each clip's channels, and sum of squared differences from it.

    Args:
        x: (B, C, T, H, W), in channels_last_3d.

    Returns:
        Two tensors (B, C), float64.
    """
    mean, square = torch.empty(2, *x.shape[:2], dtype=torch.float64)
    call("norm_moments", x.dtype, x, mean, square, _size(x))
    return mean, square


def apply(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    activation: Activation,
    other: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """activation(x * scale + shift + other).

    Args:
        x: (B, C, T, H, W), in channels_last_3d.
        scale: (B, C).
        shift: (B, C).
        activation: `relu` if there is `other`.
        other: like `x`.
        out: where to; may be `x`. None: a new tensor.
    """
    out = torch.empty_like(x) if out is None else out
    rows = (each.double().contiguous() for each in (scale, shift))
    call("norm_apply", x.dtype, x, other, *rows, out, NUMBER[activation], _size(x))
    return out


def norm_act(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    statistics: Statistics,
    activation: Activation,
    other: Tensor | None = None,
) -> Tensor:
    """activation((x - mean) * inverse * weight + bias + other), differentiable.

    Args:
        x: (B, C, T, H, W), in channels_last_3d.
        weight: (C,).
        bias: (C,).
        statistics: of `x`.
        activation: `relu` if there is `other`.
        other: like `x`.
    """
    out: Tensor = _NormAct.apply(x, weight, bias, other, statistics, activation)
    return out


def norm_silu(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    gate: Gate | None,
    statistics: Statistics,
) -> Tensor:
    """silu(z * gate(mean of z over the clip)) of z = normalised x * weight + bias.

    Args:
        x: (B, C, T, H, W), or a part of its frames.
        weight: (C,).
        bias: (C,).
        gate: weights (R, C, 1, 1, 1) and biases (R,), then weights (C, R, 1, 1, 1) and
            biases (C,), of squeeze-excitation; None: no gate.
        statistics: of the whole `x`, with `clip_mean` if there is a gate.
    """
    out: Tensor = _NormAct.apply(
        x, weight, bias, None, statistics, "silu", *(gate or ())
    )
    return out


def excite(mean: Tensor, gate: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Squeeze-excitation of means (B, C), in float64: hidden (B, R), factors (B, C)."""
    reduce, reduce_bias, expand, expand_bias = (
        layer.flatten(1).double() if layer.ndim > 1 else layer.double()
        for layer in gate
    )
    with torch.autocast("cpu", enabled=False):
        hidden = (mean @ reduce.T + reduce_bias).relu()
        return hidden, (hidden @ expand.T + expand_bias).sigmoid()


class _NormAct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        other: Tensor | None,
        statistics: Statistics,
        activation: Activation,
        *layers: Tensor,
    ) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last_3d)
        if other is not None:
            other = other.contiguous(memory_format=torch.channels_last_3d)
        scale, shift = statistics.scale, statistics.shift
        if layers:
            assert statistics.clip_mean is not None
            _, factor = excite(statistics.clip_mean * scale + shift, layers)
            scale, shift = scale * factor, shift * factor
        out = apply(x, scale, shift, activation, other)
        ctx.save_for_backward(x, None if other is None else out, weight, bias, *layers)
        ctx.statistics, ctx.activation = statistics, activation
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, out, weight, bias, *layers = ctx.saved_tensors
        statistics: Statistics = ctx.statistics
        gradient = gradients[0].contiguous(memory_format=torch.channels_last_3d)
        if gradient.dtype != x.dtype:
            gradient = gradient.to(x.dtype)
        pixels = x.shape[2:].numel()
        mean, scale, shift = statistics.mean, statistics.scale, statistics.shift
        size, number = _size(x), NUMBER[ctx.activation]
        to_layers: tuple[Tensor, ...] = ()
        direct, offset, through = scale, shift, None
        clip_mean = statistics.clip_mean
        if layers:
            assert clip_mean is not None
            means = clip_mean * scale + shift
            hidden, factor = excite(means, layers)
            direct, offset = scale * factor, shift * factor
        given = (gradient, x, out, direct, offset, mean)
        sums, products = torch.empty(2, *scale.shape, dtype=torch.float64)
        call("norm_reduce", x.dtype, *given, sums, products, number, size)
        if layers:
            assert clip_mean is not None
            to_factor = products * scale + sums * bias.double()
            to_mean, to_layers = _excite_backward(
                to_factor, means, hidden, factor, layers
            )
            through = scale * to_mean / pixels
            sums = sums * factor + to_mean
            products = products * factor + to_mean * (clip_mean - mean)
        slope, constant, to_weight, to_bias = _slopes(
            sums, products, statistics, pixels
        )
        if through is not None:
            constant += through
        to_x = torch.empty_like(x)
        to_other = None if out is None else torch.empty_like(x)
        ways = (direct, slope, constant, to_x, to_other)
        call("norm_backward", x.dtype, *given, *ways, number, size)
        to_norm = to_weight.to(weight.dtype), to_bias.to(bias.dtype)
        return to_x, *to_norm, to_other, None, None, *to_layers


def _slopes(
    sums: Tensor, products: Tensor, statistics: Statistics, pixels: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the statistics' dependence on the batch, and weight and bias, get.

    Args:
        sums: (B, C), over each clip, of the gradient after scale and shift.
        products: (B, C), the same of it times x - mean.
        statistics: of the batch.
        pixels: of a clip.

    Returns:
        slope and constant (B, C), for slope * (x - mean) + constant in the gradient of
        x, and the gradients (C,) of weight and bias.
    """
    slope, constant = torch.empty(2, *sums.shape, dtype=torch.float64)
    to_weight, to_bias = torch.empty(2, sums.shape[1], dtype=torch.float64)
    given = (sums, products, statistics.inverse, statistics.scale)
    found = (slope, constant, to_weight, to_bias)
    sizes = (*sums.shape, pixels, statistics.groups, 0)
    call("norm_slopes", torch.float64, *given, *found, sizes)
    return found


def _excite_backward(
    gradient: Tensor, mean: Tensor, hidden: Tensor, factor: Tensor, layers: Any
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Gradients of `excite` for its input and its layers."""
    with torch.autocast("cpu", enabled=False):
        outer = gradient * factor * (1 - factor)  # (B, C)
        inner = outer @ layers[2].flatten(1).double() * (hidden > 0)  # (B, R)
        to_layers = (inner.T @ mean, inner.sum(0), outer.T @ hidden, outer.sum(0))
        to_mean = inner @ layers[0].flatten(1).double()
    pairs = zip(to_layers, layers, strict=True)
    return to_mean, tuple(
        found.view_as(layer).to(layer.dtype) for found, layer in pairs
    )


def _size(x: Tensor) -> tuple[int, int, int]:
    return len(x), x.shape[2:].numel(), x.shape[1]
