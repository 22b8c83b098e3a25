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

from ssdet.kernels.compiled import DTYPES, call

Activation = Literal["none", "relu", "silu"]
Gate = tuple[Tensor, Tensor, Tensor, Tensor]
NUMBER: dict[Activation, int] = {"none": 0, "relu": 1, "silu": 2}


@dataclass(frozen=True)
class Statistics:
    """What a batch is normalised by.

    Attributes:
        mean: (B, C), float64, of the group of each clip.
        inverse: (B, C), float64, 1 / standard deviation.
        clip_mean: (B, C), float64, of each clip; None if it was not asked for.
        groups: clip i belongs to group i mod `groups`; 0: the statistics are not of
            this batch, and have no gradient.
    """

    mean: Tensor
    inverse: Tensor
    clip_mean: Tensor | None
    groups: int


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
    scale, shift = _arithmetic(x, scale), _arithmetic(x, shift)
    number = NUMBER[activation]
    call("norm_apply", x.dtype, x, other, scale, shift, out, number, _size(x))
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
        scale = weight.double() * statistics.inverse
        shift = bias.double() - statistics.mean * scale
        if not layers:
            out = apply(x, scale, shift, activation, other)
        else:
            assert statistics.clip_mean is not None
            _, factor = excite(statistics.clip_mean * scale + shift, layers)
            out = apply(x, scale * factor, shift * factor, activation)
        kept = None if other is None else out
        ctx.save_for_backward(x, kept, weight, bias, *layers)
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
        mean, inverse = statistics.mean, statistics.inverse
        scale = weight.double() * inverse
        shift = bias.double() - mean * scale
        given = (gradient, x, out)
        to_layers: tuple[Tensor, ...] = ()
        if not layers:
            factor, to_mean = torch.ones_like(scale), torch.zeros_like(scale)
            sums, products = _reduce(given, scale, shift, mean, ctx.activation)
        else:
            assert statistics.clip_mean is not None
            clip_mean = statistics.clip_mean * scale + shift
            hidden, factor = excite(clip_mean, layers)
            sums, products = _reduce(
                given, scale * factor, shift * factor, mean, ctx.activation
            )
            to_factor = products * scale + sums * bias.double()
            to_mean, to_layers = _excite_backward(
                to_factor, clip_mean, hidden, factor, layers
            )
            sums = sums * factor + to_mean
            products = products * factor + to_mean * (statistics.clip_mean - mean)
        slope, constant = torch.zeros_like(scale), scale * to_mean / pixels
        if statistics.groups:
            of_group = len(x) // statistics.groups * pixels
            slope = -scale * inverse**2 * _of_group(products, statistics) / of_group
            constant = constant - scale * _of_group(sums, statistics) / of_group
        to_x, to_other = (
            torch.empty_like(x),
            None if out is None else torch.empty_like(x),
        )
        coefficients = (
            scale * factor,
            shift * factor,
            mean,
            scale * factor,
            slope,
            constant,
        )
        call(
            "norm_backward",
            x.dtype,
            *given,
            *(_arithmetic(x, tensor) for tensor in coefficients),
            to_x,
            to_other,
            NUMBER[ctx.activation],
            _size(x),
        )
        to_weight = (products * inverse).sum(0).to(weight.dtype)
        to_bias = sums.sum(0).to(bias.dtype)
        return to_x, to_weight, to_bias, to_other, None, None, *to_layers


def _reduce(
    given: tuple[Tensor, ...],
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    activation: Activation,
) -> tuple[Tensor, Tensor]:
    """Sums (B, C) of the gradient before the activation, and of it times x - mean."""
    x = given[1]
    sums, products = torch.empty(2, *scale.shape, dtype=torch.float64)
    coefficients = (_arithmetic(x, tensor) for tensor in (scale, shift, mean))
    number = NUMBER[activation]
    call(
        "norm_reduce", x.dtype, *given, *coefficients, sums, products, number, _size(x)
    )
    return sums, products


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


def _of_group(sums: Tensor, statistics: Statistics) -> Tensor:
    """For each clip (B, C), the sum over the clips of its group."""
    groups = statistics.groups
    together = sums.view(-1, groups, sums.shape[1]).sum(0)  # (groups, C)
    return together.repeat(len(sums) // groups, 1)


def _arithmetic(x: Tensor, coefficients: Tensor) -> Tensor:
    return coefficients.to(DTYPES[x.dtype]).contiguous()


def _size(x: Tensor) -> tuple[int, int, int]:
    return len(x), x.shape[2:].numel(), x.shape[1]
