"""The passes of batch normalisation on compiled kernels of CPUs.

`gpu/norm.py` has the same functions on Triton's; `norm.py` makes layers of either.
Maps are (B, C, T, H, W) in channels_last_3d, coefficients (B, C) float64, contiguous.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ssdet.kernels.compiled import call

Activation = Literal["none", "relu", "silu"]
NUMBER: dict[Activation, int] = {"none": 0, "relu": 1, "silu": 2}
Pair = tuple[Tensor, Tensor]
Four = tuple[Tensor, Tensor, Tensor, Tensor]
EPS = 1e-5


def moments(x: Tensor) -> Pair:
    """Mean of each clip's channels, and sum of squared differences from it: (B, C)."""
    mean, square = torch.empty(2, *x.shape[:2], dtype=torch.float64)
    call("norm_moments", x.dtype, x, mean, square, _size(x))
    return mean, square


def batch_statistics(
    found: Pair,
    pixels: int,
    weight: Tensor,
    bias: Tensor,
    running: Pair,
    momentum: float,
) -> Four:
    """Mean, inverse, scale and shift of `norm.Statistics`, from a batch.

    Args:
        found: moments (B, C) of the clips.
        pixels: of a clip, over all frames.
        weight: (C,), of the norm.
        bias: (C,).
        running: mean and variance (groups, C), which learn of the batch, in place.
        momentum: weight of this batch in them; 0: they stay.
    """
    clip_mean, square = found
    sizes = (*clip_mean.shape, pixels, len(running[0]), running[0].stride(0))
    out = torch.empty(4, *clip_mean.shape, dtype=torch.float64)
    mean, inverse, scale, shift = out
    call(
        "norm_statistics",
        weight.dtype,
        *(clip_mean, square, weight, bias, *running, float(momentum), EPS),
        *(mean, inverse, scale, shift, sizes),
    )
    return mean, inverse, scale, shift


def fixed_statistics(clips: int, weight: Tensor, bias: Tensor, running: Pair) -> Four:
    """The same of running mean and variance (C,), for `clips` clips."""
    mean, variance = (each.double() for each in running)
    inverse = (variance + EPS).rsqrt()
    scale = weight.double() * inverse
    shift = bias.double() - mean * scale
    rows = (each.repeat(clips, 1) for each in (mean, inverse, scale, shift))
    mean, inverse, scale, shift = rows
    return mean, inverse, scale, shift


def apply(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    activation: Activation,
    other: Tensor | None,
    out: Tensor,
) -> None:
    """Into `out`, activation(x * scale + shift + other)."""
    rows = (each.double().contiguous() for each in (scale, shift))
    call("norm_apply", x.dtype, x, other, *rows, out, NUMBER[activation], _size(x))


def reduce(
    gradient: Tensor,
    x: Tensor,
    out: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    activation: Activation,
) -> Pair:
    """Sums over each clip of the gradient before the activation, for `backward`.

    Args:
        gradient: of what `apply` gave.
        x: what `apply` was given.
        out: what it gave, if there was another map to add; tells ReLU.
        scale: as given to `apply`.
        shift: as given to `apply`.
        mean: of the group of each clip.
        activation: as given to `apply`.

    Returns:
        Sums of that gradient, and of it times x - mean.
    """
    sums, products = torch.empty(2, *scale.shape, dtype=torch.float64)
    given = (gradient, x, out, scale, shift, mean, sums, products)
    call("norm_reduce", x.dtype, *given, NUMBER[activation], _size(x))
    return sums, products


def backward(
    gradient: Tensor,
    x: Tensor,
    out: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    slope: Tensor,
    constant: Tensor,
    activation: Activation,
) -> tuple[Tensor, Tensor | None]:
    """Gradients of x and of the other map, from that before the activation.

    Args:
        gradient: as for `reduce`, and so are all up to `mean`.
        x: see there.
        out: see there.
        scale: see there.
        shift: see there.
        mean: see there.
        slope: of the statistics' dependence on x: slope * (x - mean) + constant is
            added to the gradient times scale.
        constant: see `slope`.
        activation: as given to `apply`.
    """
    to_x = torch.empty_like(x)
    to_other = None if out is None else torch.empty_like(x)
    given = (gradient, x, out, scale, shift, mean, scale, slope, constant)
    call("norm_backward", x.dtype, *given, to_x, to_other, NUMBER[activation], _size(x))
    return to_x, to_other


def slopes(
    sums: Tensor,
    products: Tensor,
    inverse: Tensor,
    scale: Tensor,
    pixels: int,
    groups: int,
) -> Four:
    """What the statistics' dependence on the batch, and weight and bias, get.

    Args:
        sums: (B, C), over each clip, of the gradient after scale and shift.
        products: (B, C), the same of it times x - mean.
        inverse: of the statistics.
        scale: of the statistics.
        pixels: of a clip.
        groups: clip i belongs to group i mod `groups`; 0: nothing depends on the batch.

    Returns:
        Slope and constant (B, C) of `backward`; the gradients (C,) of weight and bias.
    """
    slope, constant = torch.empty(2, *sums.shape, dtype=torch.float64)
    to_weight, to_bias = torch.empty(2, sums.shape[1], dtype=torch.float64)
    given = (sums, products, inverse, scale, slope, constant, to_weight, to_bias)
    call("norm_slopes", torch.float64, *given, (*sums.shape, pixels, groups, 0))
    return slope, constant, to_weight, to_bias


def _size(x: Tensor) -> tuple[int, int, int]:
    return len(x), x.shape[2:].numel(), x.shape[1]
