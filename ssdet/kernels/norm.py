"""Batch normalisation with what follows it, in as few passes as it takes.

What a block does around its convolutions is scale and shift, gate, shortcut and
activation: here one pass over the map, and in backward two. All coefficients follow
from sums over each clip, (B, C), that kernels of ours compute, compiled ones on CPUs
and Triton's on GPUs; what is made of them (groups of clips, squeeze-excitation) is
small, in float64 on CPUs and in the type of the kernels' sums on GPUs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ssdet.kernels import compiled_norm
from ssdet.kernels.compiled_norm import EPS, Activation, Four
from ssdet.kernels.gpu import switch

LAST = torch.channels_last_3d
Gate = tuple[Tensor, Tensor, Tensor, Tensor]
Moments = tuple[Tensor, Tensor]  # see `moments`


@dataclass(frozen=True)
class Statistics:
    """What a batch is normalised by; (B, C), contiguous.

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
    x: Tensor,
    found: Moments | None,
    weight: Tensor,
    bias: Tensor,
    running: tuple[Tensor, Tensor],
    momentum: float,
) -> Statistics:
    """Statistics of a batch in training; the running ones learn of it, in place.

    Args:
        x: (B, C, T, H, W), in channels_last_3d.
        found: its moments, if they are known.
        weight: (C,), of the norm.
        bias: (C,).
        running: mean and variance (groups, C), of the type of `weight`.
        momentum: weight of this batch in them; 0: they stay.
    """
    kernels = _kernels(x)
    found = kernels.moments(x) if found is None else found
    given = (found, x.shape[2:].numel(), weight, bias, running, momentum)
    rows: Four = kernels.batch_statistics(*given)
    return Statistics(*rows, found[0], len(running[0]))


def fixed_statistics(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    running: tuple[Tensor, Tensor],
    clip_mean: Tensor | None = None,
) -> Statistics:
    """Statistics that do not depend on the batch.

    Args:
        x: (B, C, T, H, W), what is to be normalised.
        weight: (C,), of the norm.
        bias: (C,).
        running: mean and variance (C,).
        clip_mean: (B, C), if it is needed.
    """
    rows: Four = _kernels(x).fixed_statistics(len(x), weight, bias, running)
    return Statistics(*rows, clip_mean, 0)


def folded(
    weight: Tensor, bias: Tensor, running: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """What evaluation multiplies each channel by (C,), and what it adds (C,)."""
    mean, variance = running
    if switch.covers(mean):
        rows = _kernels(mean).fixed_statistics(1, weight, bias, running)
        return rows[2][0], rows[3][0]
    scale = weight * (variance + EPS).rsqrt()
    return scale, bias - mean * scale


def moments(x: Tensor) -> Moments:
    """Mean of each clip's channels, and sum of squared differences from it.

    Args:
        x: (B, C, T, H, W), in channels_last_3d.

    Returns:
        Two tensors (B, C).
    """
    found: Moments = _kernels(x).moments(x)
    return found


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
    _kernels(x).apply(x, scale, shift, activation, other, out)
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
    """Hidden (B, R) and factors (B, C) of squeeze-excitation, from means (B, C)."""
    reduce, reduce_bias, expand, expand_bias = (
        layer.flatten(1).to(mean.dtype) if layer.ndim > 1 else layer.to(mean.dtype)
        for layer in gate
    )
    with torch.autocast(mean.device.type, enabled=False):
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
        x = x.contiguous(memory_format=LAST)
        if other is not None:
            other = other.contiguous(memory_format=LAST)
        scale, shift = statistics.scale, statistics.shift
        ctx.excited = None
        if layers:
            assert statistics.clip_mean is not None
            means = statistics.clip_mean * scale + shift
            hidden, factor = excite(means, layers)
            scale, shift = scale * factor, shift * factor
            ctx.excited = means, hidden, factor
        out = torch.empty_like(x)
        ctx.kernels = _kernels(x)
        ctx.kernels.apply(x, scale, shift, activation, other, out)
        ctx.save_for_backward(x, None if other is None else out, weight, bias, *layers)
        ctx.statistics, ctx.applied = statistics, (scale, shift)
        ctx.activation = activation
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, out, weight, bias, *layers = ctx.saved_tensors
        statistics: Statistics = ctx.statistics
        gradient = gradients[0].contiguous(memory_format=LAST)
        if gradient.dtype != x.dtype:
            gradient = gradient.to(x.dtype)
        pixels = x.shape[2:].numel()
        mean, scale = statistics.mean, statistics.scale
        to_layers: tuple[Tensor, ...] = ()
        through = None
        given = (gradient, x, out, *ctx.applied, mean)
        sums, products = ctx.kernels.reduce(*given, ctx.activation)
        if layers:
            clip_mean = statistics.clip_mean
            assert clip_mean is not None
            means, hidden, factor = ctx.excited
            to_factor = products * scale + sums * bias
            to_mean, to_layers = _excite_backward(
                to_factor, means, hidden, factor, layers
            )
            through = scale * to_mean / pixels
            sums = sums * factor + to_mean
            products = products * factor + to_mean * (clip_mean - mean)
        slope, constant, to_weight, to_bias = ctx.kernels.slopes(
            sums, products, statistics.inverse, scale, pixels, statistics.groups
        )
        if through is not None:
            constant += through
        to_x, to_other = ctx.kernels.backward(*given, slope, constant, ctx.activation)
        to_norm = to_weight.to(weight.dtype), to_bias.to(bias.dtype)
        return to_x, *to_norm, to_other, None, None, *to_layers


def _excite_backward(
    gradient: Tensor, mean: Tensor, hidden: Tensor, factor: Tensor, layers: Any
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Gradients of `excite` for its input and its layers."""
    with torch.autocast(mean.device.type, enabled=False):
        outer = gradient * factor * (1 - factor)  # (B, C)
        inner = outer @ layers[2].flatten(1).to(mean.dtype) * (hidden > 0)  # (B, R)
        to_layers = (inner.T @ mean, inner.sum(0), outer.T @ hidden, outer.sum(0))
        to_mean = inner @ layers[0].flatten(1).to(mean.dtype)
    pairs = zip(to_layers, layers, strict=True)
    return to_mean, tuple(
        found.view_as(layer).to(layer.dtype) for found, layer in pairs
    )


def _kernels(x: Tensor) -> ModuleType:
    """The kernels that compute with `x`: both modules have the same functions."""
    if switch.covers(x):
        from ssdet.kernels.gpu import norm

        return norm
    return compiled_norm
