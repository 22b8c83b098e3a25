"""Triton kernels of the small numbers of batch normalisation, (B, C), one launch each.

As cpu/statistics.cpp: clip i belongs to group i mod `groups`. In float64, whatever is
read and written: a program has few of them. Sums are taken in a fixed order.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def join_kernel(
    partial,
    joined,
    parts,
    CHANNELS: tl.constexpr,
    AT_ONCE: tl.constexpr,
    CHANNELS_AT_ONCE: tl.constexpr,
):
    """Moments of clips from those of their parts; grid (blocks of channels, B).

    `partial` (3, B, parts, C): number, mean, sum of squared differences; `joined` (2,
    B, C): mean and sum of squared differences.
    """
    channel, known = _channels(CHANNELS, CHANNELS_AT_ONCE)
    all_parts = tl.num_programs(1).to(tl.int64) * parts * CHANNELS
    of_clip = partial + tl.program_id(1).to(tl.int64) * parts * CHANNELS
    count = tl.zeros((1, CHANNELS_AT_ONCE), tl.float64)
    total = tl.zeros((1, CHANNELS_AT_ONCE), tl.float64)
    for begin in range(0, parts, AT_ONCE):
        part = (begin + tl.arange(0, AT_ONCE))[:, None]
        there = (part < parts) & known
        place = of_clip + part * CHANNELS + channel
        number = tl.load(place, there, 0.0).to(tl.float64)
        mean = tl.load(place + all_parts, there, 0.0).to(tl.float64)
        count += tl.sum(number, 0)[None, :]
        total += tl.sum(number * mean, 0)[None, :]
    whole = total / tl.maximum(count, 1.0)
    squares = tl.zeros((1, CHANNELS_AT_ONCE), tl.float64)
    for begin in range(0, parts, AT_ONCE):
        part = (begin + tl.arange(0, AT_ONCE))[:, None]
        there = (part < parts) & known
        place = of_clip + part * CHANNELS + channel
        number = tl.load(place, there, 0.0).to(tl.float64)
        apart = tl.load(place + all_parts, there, 0.0).to(tl.float64) - whole
        square = tl.load(place + 2 * all_parts, there, 0.0).to(tl.float64)
        squares += tl.sum(square + number * apart * apart, 0)[None, :]
    kind = joined.dtype.element_ty
    target = joined + tl.program_id(1) * CHANNELS + channel
    tl.store(target, whole.to(kind), known)
    target += tl.num_programs(1) * CHANNELS
    tl.store(target, squares.to(kind), known)


@triton.jit
def statistics_kernel(
    clip_mean,
    square,
    weight,
    bias,
    running_mean,
    running_variance,
    found,
    clips,
    pixels,
    step,
    CHANNELS: tl.constexpr,
    FIXED: tl.constexpr,
    MOMENTUM: tl.constexpr,
    EPSILON: tl.constexpr,
    AT_ONCE: tl.constexpr,
    CHANNELS_AT_ONCE: tl.constexpr,
):
    """What a batch is normalised by; grid (blocks of channels, groups).

    To `found` (4, B, C): mean, inverse, scale, shift. The running statistics, `step`
    apart from a group's to the next one's, learn of it, with MOMENTUM above 0. FIXED
    takes them instead, and no moments.
    """
    channel, known = _channels(CHANNELS, CHANNELS_AT_ONCE)
    group = tl.program_id(1)
    groups = tl.num_programs(1)
    learned = group * step + channel
    if FIXED:
        mean = tl.load(running_mean + learned, known, 0.0).to(tl.float64)
        variance = tl.load(running_variance + learned, known, 0.0).to(tl.float64)
    else:
        in_group = clips // groups
        total = tl.zeros((1, CHANNELS_AT_ONCE), tl.float64)
        for begin in range(0, in_group, AT_ONCE):
            clip, there = _clips(begin, in_group, group, groups, AT_ONCE)
            place = clip * CHANNELS + channel
            value = tl.load(clip_mean + place, there & known, 0.0)
            total += tl.sum(value.to(tl.float64), 0)[None, :]
        mean = total / in_group
        squares = tl.zeros((1, CHANNELS_AT_ONCE), tl.float64)
        for begin in range(0, in_group, AT_ONCE):
            clip, there = _clips(begin, in_group, group, groups, AT_ONCE)
            place = clip * CHANNELS + channel
            value = tl.load(clip_mean + place, there & known, 0.0)
            apart = tl.where(there & known, value.to(tl.float64) - mean, 0.0)
            inside = tl.load(square + place, there & known, 0.0).to(tl.float64)
            squares += tl.sum(inside + apart * apart * pixels, 0)[None, :]
        count = in_group.to(tl.float64) * pixels
        variance = squares / count
        if MOMENTUM != 0.0:
            unbiased = squares / tl.maximum(count - 1.0, 1.0)
            _learn(running_mean + learned, mean, known, MOMENTUM)
            _learn(running_variance + learned, unbiased, known, MOMENTUM)
    inverse = 1.0 / tl.sqrt(variance + EPSILON)
    scale = tl.load(weight + channel, known, 0.0).to(tl.float64) * inverse
    shift = tl.load(bias + channel, known, 0.0).to(tl.float64) - mean * scale
    kind = found.dtype.element_ty
    size = clips * CHANNELS
    for begin in range(0, clips // groups, AT_ONCE):
        clip, there = _clips(begin, clips // groups, group, groups, AT_ONCE)
        target = found + clip * CHANNELS + channel
        there = there & known
        rows = tl.zeros((AT_ONCE, CHANNELS_AT_ONCE), tl.float64)
        tl.store(target, (rows + mean).to(kind), there)
        tl.store(target + size, (rows + inverse).to(kind), there)
        tl.store(target + 2 * size, (rows + scale).to(kind), there)
        tl.store(target + 3 * size, (rows + shift).to(kind), there)


@triton.jit
def slopes_kernel(
    sums,
    products,
    inverse,
    scale,
    to_batch,
    to_norm,
    clips,
    pixels,
    CHANNELS: tl.constexpr,
    FIXED: tl.constexpr,
    AT_ONCE: tl.constexpr,
    CHANNELS_AT_ONCE: tl.constexpr,
):
    """From the sums of `reduce_kernel`; grid (blocks of channels, groups).

    To `to_batch` (2, B, C) slope and constant, zero if FIXED; to `to_norm` (2, C) the
    gradients of weight and bias, which the first group's programs sum.
    """
    channel, known = _channels(CHANNELS, CHANNELS_AT_ONCE)
    group = tl.program_id(1)
    groups = tl.num_programs(1)
    if group == 0:
        to_weight = tl.zeros((1, CHANNELS_AT_ONCE), tl.float64)
        to_bias = tl.zeros((1, CHANNELS_AT_ONCE), tl.float64)
        for begin in range(0, clips, AT_ONCE):
            clip, there = _clips(begin, clips, 0, 1, AT_ONCE)
            place = clip * CHANNELS + channel
            there = there & known
            over = tl.load(inverse + place, there, 0.0).to(tl.float64)
            product = tl.load(products + place, there, 0.0).to(tl.float64)
            to_weight += tl.sum(product * over, 0)[None, :]
            total = tl.load(sums + place, there, 0.0).to(tl.float64)
            to_bias += tl.sum(total, 0)[None, :]
        norm_kind = to_norm.dtype.element_ty
        tl.store(to_norm + channel, to_weight.to(norm_kind), known)
        tl.store(to_norm + CHANNELS + channel, to_bias.to(norm_kind), known)
    in_group = clips // groups
    whole_sum = tl.zeros((1, CHANNELS_AT_ONCE), tl.float64)
    whole_product = tl.zeros((1, CHANNELS_AT_ONCE), tl.float64)
    if not FIXED:
        count = in_group.to(tl.float64) * pixels
        for begin in range(0, in_group, AT_ONCE):
            clip, there = _clips(begin, in_group, group, groups, AT_ONCE)
            place = clip * CHANNELS + channel
            there = there & known
            total = tl.load(sums + place, there, 0.0).to(tl.float64)
            whole_sum += tl.sum(total / count, 0)[None, :]
            product = tl.load(products + place, there, 0.0).to(tl.float64)
            whole_product += tl.sum(product / count, 0)[None, :]
    kind = to_batch.dtype.element_ty
    for begin in range(0, in_group, AT_ONCE):
        clip, there = _clips(begin, in_group, group, groups, AT_ONCE)
        place = clip * CHANNELS + channel
        there = there & known
        over = tl.load(inverse + place, there, 0.0).to(tl.float64)
        factor = tl.load(scale + place, there, 0.0).to(tl.float64)
        slope = -factor * over * over * whole_product
        tl.store(to_batch + place, slope.to(kind), there)
        constant = to_batch + clips * CHANNELS + place
        tl.store(constant, (-factor * whole_sum).to(kind), there)


@triton.jit
def _channels(CHANNELS: tl.constexpr, AT_ONCE: tl.constexpr):
    """The program's channels (1, AT_ONCE), and which of them there are."""
    channel = (tl.program_id(0) * AT_ONCE + tl.arange(0, AT_ONCE))[None, :]
    return channel, channel < CHANNELS


@triton.jit
def _clips(begin, total, group, groups, AT_ONCE: tl.constexpr):
    """Clips of a group from its `begin`-th on (AT_ONCE, 1), and which there are."""
    number = (begin + tl.arange(0, AT_ONCE))[:, None]
    return group + groups * number, number < total


@triton.jit
def _learn(running, value, known, MOMENTUM: tl.constexpr):
    was = tl.load(running, known, 0.0).to(tl.float64)
    now = was + MOMENTUM * (value - was)
    tl.store(running, now.to(running.dtype.element_ty), known)
