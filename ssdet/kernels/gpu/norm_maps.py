"""Triton kernels of what surrounds the convolutions of a block: a pass over a map each.

Maps are (B, pixels, C) in memory, coefficients (B, C): normalisation by any statistics
and the gate of squeeze-excitation are a scale and a shift of each clip's channels.

A row is TOGETHER pixels, TOGETHER * C values beside each other: few channels would
leave most lanes idle, and pixels that begin anywhere could not be read 16 bytes at a
time. A program takes ROWS rows times LANES of their values at a time, `each` times.
Sums are of the pixels that a lane met: (parts, C), TOGETHER parts of each program.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def moments_kernel(
    x,
    partial,
    pixels,
    each,
    CHANNELS: tl.constexpr,
    TOGETHER: tl.constexpr,
    ARITHMETIC: tl.constexpr,
    ROWS: tl.constexpr,
    LANES: tl.constexpr,
):
    """Number, mean and sum of squared differences from it; grid (shares, blocks, B).

    To `partial` (3, B, shares * TOGETHER, C).
    """
    WIDE: tl.constexpr = TOGETHER * CHANNELS
    first, place, known, left = _begin(
        tl.program_id(0) * each, pixels, CHANNELS, WIDE, ROWS, LANES
    )
    begun = place
    mean = tl.zeros((ROWS, LANES), ARITHMETIC)
    square = tl.zeros((ROWS, LANES), ARITHMETIC)
    for step in range(0, each):
        there = known & (place < left)
        value = tl.load(x + first + place, there, 0.0).to(ARITHMETIC)
        apart = tl.where(there, value - mean, 0.0)
        mean += apart * (1.0 / tl.cast(step + 1, ARITHMETIC))  # divides but once
        square += apart * (value - mean)
        place += ROWS * WIDE
    met = (left - begun + (ROWS * WIDE - 1)) // (ROWS * WIDE)
    met = tl.minimum(tl.maximum(met, 0), each)
    met = tl.where(known, met, 0).to(ARITHMETIC)
    count = tl.sum(met, 0)
    whole = tl.sum(met * mean, 0) / tl.maximum(count, 1.0)
    apart_from_whole = mean - whole[None, :]
    square += met * apart_from_whole * apart_from_whole
    target, of_lanes, all_parts = _parts(WIDE, CHANNELS, TOGETHER, LANES)
    tl.store(partial + target, count, of_lanes)
    tl.store(partial + all_parts + target, whole, of_lanes)
    tl.store(partial + 2 * all_parts + target, tl.sum(square, 0), of_lanes)


@triton.jit
def apply_kernel(
    x,
    other,
    scale,
    shift,
    out,
    pixels,
    each,
    CHANNELS: tl.constexpr,
    TOGETHER: tl.constexpr,
    ACTIVATION: tl.constexpr,
    HAS_OTHER: tl.constexpr,
    ONE_ROW: tl.constexpr,
    ARITHMETIC: tl.constexpr,
    ROWS: tl.constexpr,
    LANES: tl.constexpr,
):
    """activation(x * scale + shift + other); grid (shares, blocks, B).

    ONE_ROW: all clips have the same coefficients (C,).
    """
    WIDE: tl.constexpr = TOGETHER * CHANNELS
    first, place, known, left = _begin(
        tl.program_id(0) * each, pixels, CHANNELS, WIDE, ROWS, LANES
    )
    row = 0 if ONE_ROW else tl.program_id(2)
    factor = _coefficient(scale, row, CHANNELS, WIDE, LANES, ARITHMETIC)
    addend = _coefficient(shift, row, CHANNELS, WIDE, LANES, ARITHMETIC)
    for _ in range(0, each):
        there = known & (place < left)
        value = tl.load(x + first + place, there, 0.0).to(ARITHMETIC)
        value = value * factor + addend
        if HAS_OTHER:
            value += tl.load(other + first + place, there, 0.0).to(ARITHMETIC)
        if ACTIVATION == "relu":
            value = tl.where(value < 0.0, 0.0, value)  # what is no number stays so
        if ACTIVATION == "silu":
            value = value / (1.0 + tl.exp(-value))
        tl.store(out + first + place, value.to(out.dtype.element_ty), there)
        place += ROWS * WIDE


@triton.jit
def reduce_kernel(
    gradient,
    x,
    out,
    scale,
    shift,
    mean,
    partial,
    pixels,
    each,
    CHANNELS: tl.constexpr,
    TOGETHER: tl.constexpr,
    ACTIVATION: tl.constexpr,
    HAS_OTHER: tl.constexpr,
    ARITHMETIC: tl.constexpr,
    ROWS: tl.constexpr,
    LANES: tl.constexpr,
):
    """Sums of the gradient before the activation, and of it times x - mean.

    Grid (shares, blocks, B); to `partial` (2, B, shares * TOGETHER, C). With another
    map to add, which is not kept, ReLU is told by `out`.
    """
    WIDE: tl.constexpr = TOGETHER * CHANNELS
    first, place, known, left = _begin(
        tl.program_id(0) * each, pixels, CHANNELS, WIDE, ROWS, LANES
    )
    row = tl.program_id(2)
    factor = _coefficient(scale, row, CHANNELS, WIDE, LANES, ARITHMETIC)
    addend = _coefficient(shift, row, CHANNELS, WIDE, LANES, ARITHMETIC)
    middle = _coefficient(mean, row, CHANNELS, WIDE, LANES, ARITHMETIC)
    sums = tl.zeros((ROWS, LANES), ARITHMETIC)
    products = tl.zeros((ROWS, LANES), ARITHMETIC)
    for _ in range(0, each):
        there = known & (place < left)
        at = first + place
        upper = tl.load(gradient + at, there, 0.0).to(ARITHMETIC)
        value = tl.load(x + at, there, 0.0).to(ARITHMETIC)
        result = value * factor + addend
        if HAS_OTHER:
            result = tl.load(out + at, there, 0.0).to(ARITHMETIC)
        upper = _before(upper, result, ACTIVATION)
        sums += upper
        products += upper * (value - middle)
        place += ROWS * WIDE
    target, of_lanes, all_parts = _parts(WIDE, CHANNELS, TOGETHER, LANES)
    tl.store(partial + target, tl.sum(sums, 0), of_lanes)
    tl.store(partial + all_parts + target, tl.sum(products, 0), of_lanes)


@triton.jit
def backward_kernel(
    gradient,
    x,
    out,
    scale,
    shift,
    mean,
    slope,
    constant,
    to_x,
    to_other,
    pixels,
    each,
    CHANNELS: tl.constexpr,
    TOGETHER: tl.constexpr,
    ACTIVATION: tl.constexpr,
    HAS_OTHER: tl.constexpr,
    ARITHMETIC: tl.constexpr,
    ROWS: tl.constexpr,
    LANES: tl.constexpr,
):
    """Gradient of x: before * scale + (x - mean) * slope + constant.

    `before` is that before the activation, and the other map's. Grid (shares, blocks,
    B).
    """
    WIDE: tl.constexpr = TOGETHER * CHANNELS
    first, place, known, left = _begin(
        tl.program_id(0) * each, pixels, CHANNELS, WIDE, ROWS, LANES
    )
    row = tl.program_id(2)
    factor = _coefficient(scale, row, CHANNELS, WIDE, LANES, ARITHMETIC)
    addend = _coefficient(shift, row, CHANNELS, WIDE, LANES, ARITHMETIC)
    middle = _coefficient(mean, row, CHANNELS, WIDE, LANES, ARITHMETIC)
    slant = _coefficient(slope, row, CHANNELS, WIDE, LANES, ARITHMETIC)
    rest = _coefficient(constant, row, CHANNELS, WIDE, LANES, ARITHMETIC)
    for _ in range(0, each):
        there = known & (place < left)
        at = first + place
        upper = tl.load(gradient + at, there, 0.0).to(ARITHMETIC)
        value = tl.load(x + at, there, 0.0).to(ARITHMETIC)
        result = value * factor + addend
        if HAS_OTHER:
            result = tl.load(out + at, there, 0.0).to(ARITHMETIC)
        upper = _before(upper, result, ACTIVATION)
        if HAS_OTHER:
            tl.store(to_other + at, upper.to(to_other.dtype.element_ty), there)
        down = upper * factor + (value - middle) * slant + rest
        tl.store(to_x + at, down.to(to_x.dtype.element_ty), there)
        place += ROWS * WIDE


@triton.jit
def _begin(
    step,
    pixels,
    CHANNELS: tl.constexpr,
    WIDE: tl.constexpr,
    ROWS: tl.constexpr,
    LANES: tl.constexpr,
):
    """Where a program begins in a map, its places from there, and how many are left.

    What is multiplied by `pixels` is in 64 bits: long videos have many.
    """
    lane = tl.program_id(1) * LANES + tl.arange(0, LANES)
    place = tl.arange(0, ROWS)[:, None] * WIDE + lane[None, :]
    before = step.to(tl.int64) * (ROWS * WIDE)
    size = tl.cast(pixels, tl.int64) * CHANNELS  # a constant if it is 1
    left = size - before
    left = tl.where(left > 2**30, 2**30, left).to(tl.int32)
    first = tl.program_id(2).to(tl.int64) * size + before
    return first, place, (lane < WIDE)[None, :], left


@triton.jit
def _coefficient(
    given,
    row,
    CHANNELS: tl.constexpr,
    WIDE: tl.constexpr,
    LANES: tl.constexpr,
    ARITHMETIC: tl.constexpr,
):
    """Of a row of (B, C), one for each lane: (1, LANES)."""
    lane = tl.program_id(1) * LANES + tl.arange(0, LANES)
    place = row * CHANNELS + lane % CHANNELS
    return tl.load(given + place, lane < WIDE, 0.0).to(ARITHMETIC)[None, :]


@triton.jit
def _parts(
    WIDE: tl.constexpr,
    CHANNELS: tl.constexpr,
    TOGETHER: tl.constexpr,
    LANES: tl.constexpr,
):
    """Where a program's sums go in (B, parts, C), which lanes, and the size of all."""
    lane = tl.program_id(1) * LANES + tl.arange(0, LANES)
    shares = tl.num_programs(0)
    target = (tl.program_id(2) * shares + tl.program_id(0)) * WIDE + lane
    return target, lane < WIDE, tl.num_programs(2) * shares * WIDE


@triton.jit
def _before(upper, result, ACTIVATION: tl.constexpr):
    """The gradient before the activation, of which `result` comes in or out."""
    if ACTIVATION == "relu":
        upper = tl.where(result > 0.0, upper, 0.0)
    if ACTIVATION == "silu":
        gate = 1.0 / (1.0 + tl.exp(-result))
        upper = upper * gate * (1.0 + result * (1.0 - gate))
    return upper
