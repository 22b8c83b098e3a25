"""Triton kernels of depthwise convolutions: 3x3x3 with spatial stride 1 or 2, 5x1x1.

All maps lie in channels_last_3d: (B, T, H, W, C) in memory. A program takes a patch of
ROWS x COLUMNS pixels times CHANNELS_AT_ONCE channels and walks through the frames: each
plane of the input is read once for all the output frames it counts for, which are kept
in registers. Sums are kept in ARITHMETIC, at least float32. Map sizes are constants of
the compiled kernel, so that distances between neighbours are too.

Weights come as (taps, C), in the order of time, row, column.

Triton carries every name that a loop assigns and that was bound before it: such a name
must keep its type, so names before the loops over frames are others than in them. Its
interpreter spreads no scalar truth value: the frame of a mask is a column therefore.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def forward_kernel(
    x,
    weight,
    out,
    scale,
    shift,
    moments,
    frames,
    chunk,
    CHANNELS: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    STRIDE: tl.constexpr,
    TIME: tl.constexpr,
    SPACE: tl.constexpr,
    MIRRORED: tl.constexpr,
    EPILOGUE: tl.constexpr,
    MOMENTS: tl.constexpr,
    ARITHMETIC: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS_AT_ONCE: tl.constexpr,
):
    """Convolve: grid (patches, chunks of frames, B * blocks of channels).

    MIRRORED reads the weights backwards, for the gradient of the input at stride 1.
    EPILOGUE is "none", or "relu" or "silu" of the sum times `scale` (C,) plus `shift`
    (C,). MOMENTS writes number, mean and sum of squared differences from it, of the
    program's own outputs, to `moments` (3, B, chunks * patches, C).
    """
    OUT_HEIGHT: tl.constexpr = (HEIGHT + STRIDE - 1) // STRIDE
    OUT_WIDTH: tl.constexpr = (WIDTH + STRIDE - 1) // STRIDE
    BLOCKS: tl.constexpr = (CHANNELS + CHANNELS_AT_ONCE - 1) // CHANNELS_AT_ONCE
    ACROSS: tl.constexpr = (OUT_WIDTH + COLUMNS - 1) // COLUMNS
    BACK: tl.constexpr = TIME // 2
    EDGE: tl.constexpr = SPACE // 2
    TAPS: tl.constexpr = TIME * SPACE * SPACE
    IN_FRAME: tl.constexpr = HEIGHT * WIDTH * CHANNELS
    OUT_FRAME: tl.constexpr = OUT_HEIGHT * OUT_WIDTH * CHANNELS

    patch = tl.program_id(0)
    begin = tl.program_id(1) * chunk
    end = tl.minimum(begin + chunk, frames)
    clip = (tl.program_id(2) // BLOCKS).to(tl.int64)
    pixel = tl.arange(0, ROWS * COLUMNS)
    row = (patch // ACROSS) * ROWS + pixel // COLUMNS
    column = (patch % ACROSS) * COLUMNS + pixel % COLUMNS
    channel = tl.program_id(2) % BLOCKS * CHANNELS_AT_ONCE
    channel += tl.arange(0, CHANNELS_AT_ONCE)
    of_channels = channel < CHANNELS
    inside = (row < OUT_HEIGHT) & (column < OUT_WIDTH)
    to_write = inside[:, None] & of_channels[None, :]

    taps = ()
    for number in tl.static_range(TAPS):
        place = TAPS - 1 - number if MIRRORED else number
        read = tl.load(weight + place * CHANNELS + channel, of_channels, 0.0)
        taps = taps + (read.to(ARITHMETIC)[None, :],)
    if EPILOGUE != "none":
        factor = tl.load(scale + channel, of_channels, 0.0).to(ARITHMETIC)[None, :]
        addend = tl.load(shift + channel, of_channels, 0.0).to(ARITHMETIC)[None, :]

    nothing = tl.zeros((ROWS * COLUMNS, CHANNELS_AT_ONCE), ARITHMETIC)
    sums = ()  # of output frames plane - BACK to plane + BACK
    for _ in tl.static_range(TIME):
        sums = sums + (nothing,)
    mean, square = nothing, nothing
    from_here = (row * WIDTH + column) * (STRIDE * CHANNELS)
    from_here = from_here[:, None] + channel[None, :]
    source = x + (clip * frames + begin - BACK) * IN_FRAME + from_here
    to_here = (row * OUT_WIDTH + column)[:, None] * CHANNELS + channel[None, :]
    target = out + (clip * frames + begin - 2 * BACK) * OUT_FRAME + to_here
    for step in range(0, end - begin + 2 * BACK):
        plane = tl.full((ROWS * COLUMNS, 1), begin - BACK + step, tl.int32)
        there = to_write & (plane >= 0) & (plane < frames)
        for down in tl.static_range(SPACE):
            for right in tl.static_range(SPACE):
                y = row * STRIDE + (down - EDGE)
                z = column * STRIDE + (right - EDGE)
                seen = (y >= 0) & (y < HEIGHT) & (z >= 0) & (z < WIDTH)
                offset = ((down - EDGE) * WIDTH + right - EDGE) * CHANNELS
                value = tl.load(source + offset, there & seen[:, None], 0.0)
                value = value.to(ARITHMETIC)
                added = ()
                for later in tl.static_range(TIME):
                    # indices of tuples are constants only as long as they have no name
                    tap = taps[((TIME - 1 - later) * SPACE + down) * SPACE + right]
                    added = added + (sums[later] + value * tap,)
                sums = added
        done = sums[0]
        if EPILOGUE != "none":
            done = addend + done * factor
        if EPILOGUE == "relu":
            done = tl.where(done < 0.0, 0.0, done)  # what is no number stays so
        if EPILOGUE == "silu":
            done = done / (1.0 + tl.exp(-done))
        rounded = done.to(out.dtype.element_ty)
        complete = plane - BACK >= begin
        tl.store(target, rounded, to_write & complete)
        if MOMENTS:
            count = tl.maximum(step - 2 * BACK + 1, 1).to(ARITHMETIC)
            value = rounded.to(ARITHMETIC)
            apart = tl.where(complete, value - mean, 0.0)
            mean += apart / count
            square += apart * (value - mean)
        shifted = ()
        for later in tl.static_range(1, TIME):
            shifted = shifted + (sums[later],)
        sums = shifted + (nothing,)
        source += IN_FRAME
        target += OUT_FRAME
    if MOMENTS:
        pixels = tl.sum(inside.to(tl.int32), 0).to(ARITHMETIC)
        length = (end - begin).to(ARITHMETIC)
        whole = tl.sum(tl.where(to_write, mean, 0.0), 0) / pixels
        apart = mean - whole[None, :]
        square += length * apart * apart
        square_sum = tl.sum(tl.where(to_write, square, 0.0), 0)
        parts = tl.num_programs(1) * tl.num_programs(0)
        part = clip * parts + tl.program_id(1) * tl.num_programs(0) + patch
        first = moments + part * CHANNELS + channel
        number = tl.zeros((CHANNELS_AT_ONCE,), ARITHMETIC) + pixels * length
        tl.store(first, number, of_channels)
        all_parts = (tl.num_programs(2) // BLOCKS).to(tl.int64) * parts * CHANNELS
        tl.store(first + all_parts, whole, of_channels)
        tl.store(first + 2 * all_parts, square_sum, of_channels)


@triton.jit
def input_gradient_kernel(
    gradient,
    weight,
    out,
    frames,
    chunk,
    CHANNELS: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    ARITHMETIC: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS_AT_ONCE: tl.constexpr,
):
    """Gradient of the input, 3x3x3, stride 2; the grid is that of `forward_kernel`.

    Of four neighbouring gradients come two by two pixels of the input, each from the
    taps that its parity meets. HEIGHT and WIDTH are the input's.
    """
    OUT_HEIGHT: tl.constexpr = (HEIGHT + 1) // 2
    OUT_WIDTH: tl.constexpr = (WIDTH + 1) // 2
    BLOCKS: tl.constexpr = (CHANNELS + CHANNELS_AT_ONCE - 1) // CHANNELS_AT_ONCE
    ACROSS: tl.constexpr = (OUT_WIDTH + COLUMNS - 1) // COLUMNS
    IN_FRAME: tl.constexpr = HEIGHT * WIDTH * CHANNELS
    OUT_FRAME: tl.constexpr = OUT_HEIGHT * OUT_WIDTH * CHANNELS

    patch = tl.program_id(0)
    begin = tl.program_id(1) * chunk
    end = tl.minimum(begin + chunk, frames)
    clip = (tl.program_id(2) // BLOCKS).to(tl.int64)
    pixel = tl.arange(0, ROWS * COLUMNS)
    row = (patch // ACROSS) * ROWS + pixel // COLUMNS
    column = (patch % ACROSS) * COLUMNS + pixel % COLUMNS
    channel = tl.program_id(2) % BLOCKS * CHANNELS_AT_ONCE
    channel += tl.arange(0, CHANNELS_AT_ONCE)
    of_channels = channel < CHANNELS
    inside = ((row < OUT_HEIGHT) & (column < OUT_WIDTH))[:, None]
    inside = inside & of_channels[None, :]
    below = inside & (row + 1 < OUT_HEIGHT)[:, None]
    beside = inside & (column + 1 < OUT_WIDTH)[:, None]
    lower = inside & (2 * row + 1 < HEIGHT)[:, None]
    right = inside & (2 * column + 1 < WIDTH)[:, None]

    taps = ()
    for number in tl.static_range(27):
        read = tl.load(weight + number * CHANNELS + channel, of_channels, 0.0)
        taps = taps + (read.to(ARITHMETIC)[None, :],)
    nothing = tl.zeros((ROWS * COLUMNS, CHANNELS_AT_ONCE), ARITHMETIC)
    # of input frames plane - 1 to plane + 1, pixels by the parity of row and column
    even_even = (nothing, nothing, nothing)
    even_odd = (nothing, nothing, nothing)
    odd_even = (nothing, nothing, nothing)
    odd_odd = (nothing, nothing, nothing)
    from_here = (row * OUT_WIDTH + column)[:, None] * CHANNELS + channel[None, :]
    source = gradient + (clip * frames + begin - 1) * OUT_FRAME + from_here
    to_here = (row * WIDTH + column)[:, None] * (2 * CHANNELS) + channel[None, :]
    target = out + (clip * frames + begin - 2) * IN_FRAME + to_here
    for step in range(0, end - begin + 2):
        plane = tl.full((ROWS * COLUMNS, 1), begin - 1 + step, tl.int32)
        there = (plane >= 0) & (plane < frames)
        here = tl.load(source, inside & there, 0.0).to(ARITHMETIC)
        next_column = tl.load(source + CHANNELS, beside & there, 0.0).to(ARITHMETIC)
        source_below = source + OUT_WIDTH * CHANNELS
        next_row = tl.load(source_below, below & there, 0.0).to(ARITHMETIC)
        both = tl.load(source_below + CHANNELS, below & beside & there, 0.0)
        both = both.to(ARITHMETIC)
        new_even_even, new_even_odd = (), ()
        new_odd_even, new_odd_odd = (), ()
        for later in tl.static_range(3):
            value = even_even[later] + here * taps[9 * later + 4]
            new_even_even = new_even_even + (value,)
            value = even_odd[later] + here * taps[9 * later + 5]
            value = value + next_column * taps[9 * later + 3]
            new_even_odd = new_even_odd + (value,)
            value = odd_even[later] + here * taps[9 * later + 7]
            value = value + next_row * taps[9 * later + 1]
            new_odd_even = new_odd_even + (value,)
            value = odd_odd[later] + here * taps[9 * later + 8]
            value = value + next_column * taps[9 * later + 6]
            value = value + next_row * taps[9 * later + 2]
            value = value + both * taps[9 * later]
            new_odd_odd = new_odd_odd + (value,)
        complete = plane - 1 >= begin
        kind = out.dtype.element_ty
        target_below = target + WIDTH * CHANNELS
        tl.store(target, new_even_even[0].to(kind), inside & complete)
        tl.store(target + CHANNELS, new_even_odd[0].to(kind), right & complete)
        tl.store(target_below, new_odd_even[0].to(kind), lower & complete)
        corner = lower & right & complete
        tl.store(target_below + CHANNELS, new_odd_odd[0].to(kind), corner)
        even_even = (new_even_even[1], new_even_even[2], nothing)
        even_odd = (new_even_odd[1], new_even_odd[2], nothing)
        odd_even = (new_odd_even[1], new_odd_even[2], nothing)
        odd_odd = (new_odd_odd[1], new_odd_odd[2], nothing)
        source += OUT_FRAME
        target += IN_FRAME


@triton.jit
def weight_gradient_kernel(
    x,
    gradient,
    partial,
    frames,
    chunk,
    chunks,
    items,
    items_each,
    CHANNELS: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    STRIDE: tl.constexpr,
    TIME: tl.constexpr,
    SPACE: tl.constexpr,
    ARITHMETIC: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS_AT_ONCE: tl.constexpr,
):
    """Sums over a share of the pixels, to `partial` (shares, taps, C).

    Grid (shares, blocks of channels). An item is a patch of the output in a chunk of
    frames of a clip; share i takes items i * items_each to (i + 1) * items_each.
    """
    OUT_HEIGHT: tl.constexpr = (HEIGHT + STRIDE - 1) // STRIDE
    OUT_WIDTH: tl.constexpr = (WIDTH + STRIDE - 1) // STRIDE
    ACROSS: tl.constexpr = (OUT_WIDTH + COLUMNS - 1) // COLUMNS
    PATCHES: tl.constexpr = (OUT_HEIGHT + ROWS - 1) // ROWS * ACROSS
    BACK: tl.constexpr = TIME // 2
    EDGE: tl.constexpr = SPACE // 2
    TAPS: tl.constexpr = TIME * SPACE * SPACE
    IN_FRAME: tl.constexpr = HEIGHT * WIDTH * CHANNELS
    OUT_FRAME: tl.constexpr = OUT_HEIGHT * OUT_WIDTH * CHANNELS

    channel = tl.program_id(1) * CHANNELS_AT_ONCE + tl.arange(0, CHANNELS_AT_ONCE)
    of_channels = channel < CHANNELS
    pixel = tl.arange(0, ROWS * COLUMNS)
    nothing = tl.zeros((ROWS * COLUMNS, CHANNELS_AT_ONCE), ARITHMETIC)
    sums = ()
    for _ in tl.static_range(TAPS):
        sums = sums + (nothing,)
    first = tl.program_id(0) * items_each
    for item in range(first, tl.minimum(first + items_each, items)):
        patch = item % PATCHES
        begin = item // PATCHES % chunks * chunk
        end = tl.minimum(begin + chunk, frames)
        clip = (item // PATCHES // chunks).to(tl.int64)
        row = (patch // ACROSS) * ROWS + pixel // COLUMNS
        column = (patch % ACROSS) * COLUMNS + pixel % COLUMNS
        inside = ((row < OUT_HEIGHT) & (column < OUT_WIDTH))[:, None]
        inside = inside & of_channels[None, :]
        from_here = (row * WIDTH + column) * (STRIDE * CHANNELS)
        from_here = from_here[:, None] + channel[None, :]
        source = x + (clip * frames + begin - BACK) * IN_FRAME + from_here
        at_here = (row * OUT_WIDTH + column)[:, None] * CHANNELS + channel[None, :]
        given = gradient + (clip * frames + begin) * OUT_FRAME + at_here
        window = ()  # gradients of frames plane + BACK down to plane - BACK
        for _back in tl.static_range(TIME):
            window = window + (nothing,)
        for step in range(0, end - begin + 2 * BACK):
            plane = tl.full((ROWS * COLUMNS, 1), begin - BACK + step, tl.int32)
            wanted = inside & (plane + BACK < end)
            moved = (tl.load(given, wanted, 0.0).to(ARITHMETIC),)
            for later in tl.static_range(TIME - 1):
                moved = moved + (window[later],)
            window = moved
            there = inside & (plane >= 0) & (plane < frames)
            added = ()
            for down in tl.static_range(SPACE):
                for right in tl.static_range(SPACE):
                    y = row * STRIDE + (down - EDGE)
                    z = column * STRIDE + (right - EDGE)
                    seen = (y >= 0) & (y < HEIGHT) & (z >= 0) & (z < WIDTH)
                    offset = ((down - EDGE) * WIDTH + right - EDGE) * CHANNELS
                    value = tl.load(source + offset, there & seen[:, None], 0.0)
                    value = value.to(ARITHMETIC)
                    for later in tl.static_range(TIME):
                        # in the order of `sums`: row, column, time
                        total = sums[(down * SPACE + right) * TIME + later]
                        added = added + (total + value * window[later],)
            sums = added
            source += IN_FRAME
            given += OUT_FRAME
    for down in tl.static_range(SPACE):
        for right in tl.static_range(SPACE):
            for later in tl.static_range(TIME):
                total = tl.sum(sums[(down * SPACE + right) * TIME + later], 0)
                tap = (later * SPACE + down) * SPACE + right
                place = partial + (tl.program_id(0) * TAPS + tap) * CHANNELS
                tl.store(place + channel, total, of_channels)
