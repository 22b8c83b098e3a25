"""The passes of batch normalisation on Triton's kernels.

The same functions as in `ssdet/kernels/compiled_norm.py`, which says what they take
and give; `ssdet/kernels/norm.py` makes layers of either. Coefficients (B, C) are in the
type of the sums (`switch.DTYPES`). The same bits in every run.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import triton.language as tl
from torch import Tensor

from ssdet.kernels.compiled_norm import EPS, Activation, Four, Pair
from ssdet.kernels.gpu.norm_maps import (
    apply_kernel,
    backward_kernel,
    moments_kernel,
    reduce_kernel,
)
from ssdet.kernels.gpu.norm_numbers import (
    join_kernel,
    slopes_kernel,
    statistics_kernel,
)
from ssdet.kernels.gpu.switch import DTYPES

ARITHMETIC = {torch.float32: tl.float32, torch.float64: tl.float64}
# ASSUME: chosen without a GPU. For sm_90 in bf16 a thread has 32 to 80 registers, none
# spilled, and reads 16 bytes at a time, at all widths of X3D-M
# (tests/kernels/gpu/compile_kernels.py).
ROWS, LANES, WARPS = 8, 256, 4  # of a program
EACH = 4  # times that a program takes them, where it sums nothing
SHARES = 1024  # programs that a map is dealt to, where it is summed
CLIPS, CHANNELS = 32, 32  # of a program of small numbers


def moments(x: Tensor) -> Pair:
    """As `compiled_norm.moments`."""
    constants = _constants(x)
    grid, each = _shared(x, constants)
    partial = _empty(x, 3, len(x), grid[0] * constants["TOGETHER"], x.shape[1])
    moments_kernel[grid](x, partial, x.shape[2:].numel(), each, **constants)
    return joined(partial)


def joined(partial: Tensor) -> Pair:
    """Moments of clips from those of their parts.

    Args:
        partial: (3, B, parts, C): number of values, mean, sum of squared differences.
    """
    _, clips, parts, channels = partial.shape
    out = torch.empty(2, clips, channels, dtype=partial.dtype, device=partial.device)
    grid = (-(-channels // CHANNELS), clips)
    join_kernel[grid](partial, out, parts, **_small(channels))
    return out[0], out[1]


def batch_statistics(
    found: Pair,
    pixels: int,
    weight: Tensor,
    bias: Tensor,
    running: Pair,
    momentum: float,
) -> Four:
    """As `compiled_norm.batch_statistics`."""
    clips, channels = found[0].shape
    groups, step = len(running[0]), running[0].stride(0)
    out = _empty(weight, 4, clips, channels)
    statistics_kernel[(-(-channels // CHANNELS), groups)](
        *found,
        weight,
        bias,
        *running,
        out,
        clips,
        pixels,
        step,
        FIXED=False,
        MOMENTUM=float(momentum),
        EPSILON=EPS,
        **_small(channels),
    )
    return out[0], out[1], out[2], out[3]


def fixed_statistics(clips: int, weight: Tensor, bias: Tensor, running: Pair) -> Four:
    """As `compiled_norm.fixed_statistics`."""
    channels = len(weight)
    out = _empty(weight, 4, clips, channels)
    statistics_kernel[(-(-channels // CHANNELS), 1)](
        *running,  # there are no moments
        weight,
        bias,
        *running,
        out,
        clips,
        1,
        0,
        FIXED=True,
        MOMENTUM=0.0,
        EPSILON=EPS,
        **_small(channels),
    )
    return out[0], out[1], out[2], out[3]


def apply(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    activation: Activation,
    other: Tensor | None,
    out: Tensor,
) -> None:
    """As `compiled_norm.apply`; scale and shift may be one row, expanded."""
    constants = _constants(x, activation, other is not None)
    grid, each = _dealt(x, constants, EACH)
    one_row = scale.stride(0) == shift.stride(0) == 0
    if not one_row:
        scale, shift = scale.contiguous(), shift.contiguous()
    apply_kernel[grid](
        x,
        x if other is None else other,
        scale,
        shift,
        out,
        x.shape[2:].numel(),
        each,
        ONE_ROW=one_row,
        **constants,
    )


def reduce(
    gradient: Tensor,
    x: Tensor,
    out: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    activation: Activation,
) -> Pair:
    """As `compiled_norm.reduce`."""
    constants = _constants(x, activation, out is not None)
    grid, each = _shared(x, constants)
    partial = _empty(x, 2, len(x), grid[0] * constants["TOGETHER"], x.shape[1])
    reduce_kernel[grid](
        gradient,
        x,
        x if out is None else out,
        scale,
        shift,
        mean,
        partial,
        x.shape[2:].numel(),
        each,
        **constants,
    )
    sums, products = partial.sum(2)
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
    """As `compiled_norm.backward`."""
    constants = _constants(x, activation, out is not None)
    grid, each = _dealt(x, constants, EACH)
    to_x = torch.empty_like(x)
    to_other = None if out is None else torch.empty_like(x)
    backward_kernel[grid](
        gradient,
        x,
        x if out is None else out,
        scale,
        shift,
        mean,
        slope,
        constant,
        to_x,
        to_x if to_other is None else to_other,
        x.shape[2:].numel(),
        each,
        **constants,
    )
    return to_x, to_other


def slopes(
    sums: Tensor,
    products: Tensor,
    inverse: Tensor,
    scale: Tensor,
    pixels: int,
    groups: int,
) -> Four:
    """As `compiled_norm.slopes`."""
    clips, channels = sums.shape
    to_batch = torch.empty(2, *sums.shape, dtype=sums.dtype, device=sums.device)
    to_norm = torch.empty(2, channels, dtype=sums.dtype, device=sums.device)
    grid = (-(-channels // CHANNELS), max(groups, 1))
    given = (sums, products, inverse, scale, to_batch, to_norm, clips, pixels)
    slopes_kernel[grid](*given, FIXED=groups == 0, **_small(channels))
    return to_batch[0], to_batch[1], to_norm[0], to_norm[1]


@functools.cache
def together(channels: int, lanes: int) -> int:
    """Pixels of a row: as few idle lanes as can be, in whole 16 bytes of bf16."""

    def used(pixels: int) -> float:
        wide = pixels * channels
        return wide / (-(-wide // lanes) * lanes)

    aligned = [pixels for pixels in range(1, 17) if pixels * channels % 8 == 0]
    return max(aligned, key=used)  # the first of equal ones; 8 and 16 always are


def _empty(like: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=DTYPES[like.dtype], device=like.device)


def _constants(
    x: Tensor, activation: Activation | None = None, has_other: bool = False
) -> dict[str, Any]:
    """Of a kernel over a map; those of moments have no activation."""
    after = {"ACTIVATION": activation, "HAS_OTHER": has_other}
    return {
        "CHANNELS": x.shape[1],
        "TOGETHER": together(x.shape[1], LANES),
        **({} if activation is None else after),
        "ARITHMETIC": ARITHMETIC[DTYPES[x.dtype]],
        "ROWS": ROWS,
        "LANES": LANES,
        "num_warps": WARPS,
        "enable_fp_fusion": True,
    }


def _dealt(
    x: Tensor, constants: dict[str, Any], each: int
) -> tuple[tuple[int, int, int], int]:
    """Programs, and how often each takes ROWS rows of a clip: `each` times or less."""
    wide = constants["TOGETHER"] * x.shape[1]
    steps = -(-x.shape[1:].numel() // (wide * ROWS))
    each = min(each, steps)
    return (-(-steps // each), -(-wide // LANES), len(x)), each


def _shared(x: Tensor, constants: dict[str, Any]) -> tuple[tuple[int, int, int], int]:
    """The same for about SHARES programs."""
    (steps, blocks, clips), _ = _dealt(x, constants, 1)
    return _dealt(x, constants, -(-steps // max(1, SHARES // (blocks * clips))))


def _small(channels: int) -> dict[str, int]:
    return {
        "CHANNELS": channels,
        "AT_ONCE": CLIPS,
        "CHANNELS_AT_ONCE": CHANNELS,
        "num_warps": WARPS,
    }
