"""Depthwise convolutions on GPUs, with gradients, and with what often follows them.

The weight's gradient is summed in shares, and these in a fixed order: the same bits in
every run. Twins in plain PyTorch: `plain.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ssdet.kernels.gpu.convolution import (
    forward_kernel,
    input_gradient_kernel,
    weight_gradient_kernel,
)
from ssdet.kernels.gpu.norm import ARITHMETIC, joined
from ssdet.kernels.gpu.plain import Epilogue
from ssdet.kernels.gpu.switch import DTYPES

LAST = torch.channels_last_3d
Moments = tuple[Tensor, Tensor]
FRAMES_AT_ONCE = 16  # that a program walks through
SHARES = 1024  # of the weight's gradient, over all blocks of channels


@dataclass(frozen=True)
class Tile:
    """What one program computes in each frame.

    ASSUME: chosen by the registers that the compiler reports for sm_90, without a GPU;
    `benchmarks/gpu_kernels.py` tries others. None is spilled at X3D-M's shapes in bf16
    (tests/kernels/gpu/compile_kernels.py); a thread has most of them, 255, with 54
    channels and stride 2.

    Attributes:
        rows: of pixels, a power of 2.
        columns: of pixels, a power of 2.
        channels: a power of 2.
        warps: of 32 threads.
    """

    rows: int
    columns: int
    channels: int
    warps: int

    def constants(self) -> dict[str, int]:
        """As arguments of a launch, with fused multiply-adds."""
        return {
            "ROWS": self.rows,
            "COLUMNS": self.columns,
            "CHANNELS_AT_ONCE": self.channels,
            "num_warps": self.warps,
            "enable_fp_fusion": True,
        }


FORWARD = Tile(4, 8, 64, 8)
# Triton gives a thread as many neighbouring channels as 16 bytes allow, each with its
# own 27 weights in registers: fewer pixels where more than two channels are aligned.
FORWARD_ALIGNED = Tile(2, 8, 64, 8)
INPUT_GRADIENT = Tile(2, 8, 64, 8)
WEIGHT_GRADIENT = Tile(2, 4, 64, 8)


def depthwise(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve each channel with its own kernel, as `plain.depthwise`; differentiable.

    Args:
        x: (B, C, T, H, W).
        weight: (C, 1, 3, 3, 3), or (C, 1, 5, 1, 1); rounded to the type of `x`. Its
            gradient is not rounded.
        stride: spatial stride, 1 or 2; 1 for the kernel in time.

    Returns:
        (B, C, T, ceil(H / stride), ceil(W / stride)), in channels_last_3d.
    """
    out: Tensor = _Depthwise.apply(x, weight, stride, False)[0]
    return out


def depthwise_moments(
    x: Tensor, weight: Tensor, stride: int
) -> tuple[Tensor, Tensor, Tensor]:
    """As `depthwise`, with the moments of the result in the same pass.

    Returns:
        The convolution; of each of its clips' channels the mean and the sum of squared
        differences from it, (B, C), without gradients.
    """
    found: tuple[Tensor, Tensor, Tensor] = _Depthwise.apply(x, weight, stride, True)
    return found


def depthwise_scaled(
    x: Tensor,
    weight: Tensor,
    stride: int,
    scale: Tensor,
    shift: Tensor,
    epilogue: Epilogue,
) -> Tensor:
    """epilogue(convolution * scale + shift) in one pass; without gradients.

    Args:
        x: (B, C, T, H, W).
        weight: as for `depthwise`.
        stride: as for `depthwise`.
        scale: (C,).
        shift: (C,).
        epilogue: what is done last.

    Returns:
        As `depthwise`.
    """
    x = x.contiguous(memory_format=LAST)
    return _forward(x, _taps(weight, x.dtype), stride, (scale, shift), epilogue)[0]


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: int, with_moments: bool
    ) -> tuple[Tensor | None, ...]:
        x = x.contiguous(memory_format=LAST)
        out, moments = _forward(
            x, _taps(weight, x.dtype), stride, with_moments=with_moments
        )
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        ctx.set_materialize_grads(False)  # moments have none
        if moments is None:
            return out, None, None
        ctx.mark_non_differentiable(*moments)
        return out, *moments

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if gradients[0] is None:
            return None, None, None, None
        x, weight = ctx.saved_tensors
        gradient = gradients[0].to(x.dtype).contiguous(memory_format=LAST)
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            taps = _taps(weight, x.dtype)
            if ctx.stride == 1:
                to_x = _forward(gradient, taps, 1, mirrored=True)[0]
            else:
                to_x = _input_gradient(gradient, taps, x)
        if ctx.needs_input_grad[1]:
            sums = _weight_gradient(x, gradient, len(_taps_of(weight)), ctx.stride)
            to_weight = sums.T.reshape(weight.shape).to(weight.dtype)
        return to_x, to_weight, None, None


def _forward(
    x: Tensor,
    taps: Tensor,
    stride: int,
    scaled: tuple[Tensor, Tensor] | None = None,
    epilogue: Epilogue | None = None,
    mirrored: bool = False,
    with_moments: bool = False,
    tile: Tile | None = None,
) -> tuple[Tensor, Moments | None]:
    batch, channels, frames, height, width = x.shape
    if tile is None:
        tile = FORWARD if channels % 4 else FORWARD_ALIGNED
    sides = -(-height // stride), -(-width // stride)
    out = _empty(x, sides)
    chunk = _chunk(frames)
    patches = _patches(sides, tile)
    chunks = -(-frames // chunk)
    arithmetic = DTYPES[x.dtype]
    moments = None
    if with_moments:
        shape = (3, batch, chunks * patches, channels)
        moments = torch.empty(shape, dtype=arithmetic, device=x.device)
    scale, shift = scaled if scaled is not None else (taps, taps)  # not read
    grid = (patches, chunks, batch * -(-channels // tile.channels))
    forward_kernel[grid](
        x,
        taps,
        out,
        scale,
        shift,
        taps if moments is None else moments,
        frames,
        chunk,
        CHANNELS=channels,
        HEIGHT=height,
        WIDTH=width,
        STRIDE=stride,
        TIME=3 if len(taps) == 27 else 5,
        SPACE=3 if len(taps) == 27 else 1,
        MIRRORED=mirrored,
        EPILOGUE="none" if scaled is None else epilogue,
        MOMENTS=with_moments,
        ARITHMETIC=ARITHMETIC[arithmetic],
        **tile.constants(),
    )
    return out, None if moments is None else joined(moments)


def _input_gradient(
    gradient: Tensor, taps: Tensor, x: Tensor, tile: Tile | None = None
) -> Tensor:
    """Of stride 2, like `x`."""
    tile = tile or INPUT_GRADIENT
    batch, channels, frames, height, width = x.shape
    out = _empty(x, (height, width))
    chunk = _chunk(frames)
    patches = _patches(gradient.shape[3:], tile)
    grid = (patches, -(-frames // chunk), batch * -(-channels // tile.channels))
    input_gradient_kernel[grid](
        gradient,
        taps,
        out,
        frames,
        chunk,
        CHANNELS=channels,
        HEIGHT=height,
        WIDTH=width,
        ARITHMETIC=ARITHMETIC[DTYPES[x.dtype]],
        **tile.constants(),
    )
    return out


def _weight_gradient(
    x: Tensor, gradient: Tensor, taps: int, stride: int, tile: Tile | None = None
) -> Tensor:
    """(taps, C), in the type of the sums."""
    tile = tile or WEIGHT_GRADIENT
    batch, channels, frames, height, width = x.shape
    chunk = _chunk(frames)
    chunks = -(-frames // chunk)
    items = batch * chunks * _patches(gradient.shape[3:], tile)
    blocks = -(-channels // tile.channels)
    items_each = -(-items // max(1, SHARES // blocks))
    shares = -(-items // items_each)
    arithmetic = DTYPES[x.dtype]
    partial = torch.empty(shares, taps, channels, dtype=arithmetic, device=x.device)
    weight_gradient_kernel[(shares, blocks)](
        x,
        gradient,
        partial,
        frames,
        chunk,
        chunks,
        items,
        items_each,
        CHANNELS=channels,
        HEIGHT=height,
        WIDTH=width,
        STRIDE=stride,
        TIME=3 if taps == 27 else 5,
        SPACE=3 if taps == 27 else 1,
        ARITHMETIC=ARITHMETIC[arithmetic],
        **tile.constants(),
    )
    return partial.sum(0)


def _taps(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """(C, 1, ...) -> (taps, C), in the type of the map."""
    taps = _taps_of(weight)
    return torch.empty(taps.shape, dtype=dtype, device=taps.device).copy_(taps)


def _taps_of(weight: Tensor) -> Tensor:
    return weight.detach().flatten(1).T


def _empty(x: Tensor, sides: tuple[int, int]) -> Tensor:
    shape = (*x.shape[:3], *sides)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=LAST)


def _chunk(frames: int) -> int:
    """Frames of a program: equal shares of at most FRAMES_AT_ONCE."""
    return -(-frames // -(-frames // FRAMES_AT_ONCE))


def _patches(sides: tuple[int, ...], tile: Tile) -> int:
    return -(-sides[0] // tile.rows) * -(-sides[1] // tile.columns)
