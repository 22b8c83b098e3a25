"""Triton kernels of what stands between the convolutions of a block, in one pass each.

Maps are (B, pixels, C) in memory, coefficients (B, C): normalisation by any statistics
and the gate of squeeze-excitation are a scale and a shift of each clip's channels. A
program takes PIXELS x CHANNELS_AT_ONCE values of a clip at a time, `each` times.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def forward_kernel(
    x,
    other,
    scale,
    shift,
    out,
    pixels,
    each,
    CHANNELS: tl.constexpr,
    ACTIVATION: tl.constexpr,
    HAS_OTHER: tl.constexpr,
    ARITHMETIC: tl.constexpr,
    PIXELS: tl.constexpr,
    CHANNELS_AT_ONCE: tl.constexpr,
):
    """activation(x * scale + shift + other); grid (shares, blocks of channels, B)."""
    clip = tl.program_id(2).to(tl.int64)
    channel = tl.program_id(1) * CHANNELS_AT_ONCE + tl.arange(0, CHANNELS_AT_ONCE)
    known = channel < CHANNELS
    of_clip = clip * CHANNELS + channel
    factor = tl.load(scale + of_clip, known, 0.0).to(ARITHMETIC)[None, :]
    addend = tl.load(shift + of_clip, known, 0.0).to(ARITHMETIC)[None, :]
    for step in range(0, each):
        pixel = (tl.program_id(0) * each + step) * PIXELS + tl.arange(0, PIXELS)
        there = (pixel < pixels)[:, None] & known[None, :]
        place = (clip * pixels + pixel)[:, None] * CHANNELS + channel[None, :]
        value = tl.load(x + place, there, 0.0).to(ARITHMETIC) * factor + addend
        if HAS_OTHER:
            value += tl.load(other + place, there, 0.0).to(ARITHMETIC)
        if ACTIVATION == "relu":
            value = tl.maximum(value, 0.0)
        if ACTIVATION == "silu":
            value = value / (1.0 + tl.exp(-value))
        tl.store(out + place, value.to(out.dtype.element_ty), there)


@triton.jit
def backward_kernel(
    gradient,
    x,
    out,
    scale,
    shift,
    to_x,
    to_other,
    partial,
    pixels,
    each,
    CHANNELS: tl.constexpr,
    ACTIVATION: tl.constexpr,
    HAS_OTHER: tl.constexpr,
    ARITHMETIC: tl.constexpr,
    PIXELS: tl.constexpr,
    CHANNELS_AT_ONCE: tl.constexpr,
):
    """Gradients of `forward_kernel`, for all that it reads, in one pass.

    Those of scale and shift are summed over the program's pixels, to `partial`
    (B, shares, 2, C). With `other`, which is not kept, ReLU is told by `out`.
    """
    clip = tl.program_id(2).to(tl.int64)
    channel = tl.program_id(1) * CHANNELS_AT_ONCE + tl.arange(0, CHANNELS_AT_ONCE)
    known = channel < CHANNELS
    of_clip = clip * CHANNELS + channel
    factor = tl.load(scale + of_clip, known, 0.0).to(ARITHMETIC)[None, :]
    addend = tl.load(shift + of_clip, known, 0.0).to(ARITHMETIC)[None, :]
    products = tl.zeros((PIXELS, CHANNELS_AT_ONCE), ARITHMETIC)
    sums = tl.zeros((PIXELS, CHANNELS_AT_ONCE), ARITHMETIC)
    for step in range(0, each):
        pixel = (tl.program_id(0) * each + step) * PIXELS + tl.arange(0, PIXELS)
        there = (pixel < pixels)[:, None] & known[None, :]
        place = (clip * pixels + pixel)[:, None] * CHANNELS + channel[None, :]
        upper = tl.load(gradient + place, there, 0.0).to(ARITHMETIC)
        value = tl.load(x + place, there, 0.0).to(ARITHMETIC)
        if ACTIVATION == "relu":
            if HAS_OTHER:
                result = tl.load(out + place, there, 0.0).to(ARITHMETIC)
            else:
                result = value * factor + addend
            upper = tl.where(result > 0.0, upper, 0.0)
        if ACTIVATION == "silu":
            result = value * factor + addend
            gate = 1.0 / (1.0 + tl.exp(-result))
            upper = upper * gate * (1.0 + result * (1.0 - gate))
        products += upper * value
        sums += upper
        tl.store(to_x + place, (upper * factor).to(to_x.dtype.element_ty), there)
        if HAS_OTHER:
            tl.store(to_other + place, upper.to(to_other.dtype.element_ty), there)
    share = clip * tl.num_programs(0) + tl.program_id(0)
    first = partial + share * (2 * CHANNELS) + channel
    tl.store(first, tl.sum(products, 0), known)
    tl.store(first + CHANNELS, tl.sum(sums, 0), known)
