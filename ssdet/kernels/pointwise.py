"""1x1x1 convolutions: on kernels of ours, matrix products over all pixels."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ssdet.kernels.choice import kernels_for
from ssdet.kernels.compiled import DTYPES, call
from ssdet.kernels.compiled_norm import NUMBER, Activation
from ssdet.kernels.depthwise import depthwise_moments, depthwise_scaled
from ssdet.kernels.norm import Moments, apply

LAST = torch.channels_last_3d


class PointwiseConv3d(nn.Conv3d):
    """A 1x1x1 convolution without bias; in channels_last_3d a matrix product."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        """Build; `stride` is the spatial one."""
        super().__init__(channels, out, 1, (1, stride, stride), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, out, T, ceil(H / stride), ceil(W / stride))."""
        kernels = kernels_for(x)
        if kernels is None:
            return super().forward(x)
        rows = self._strided(x).permute(0, 2, 3, 4, 1)  # (B, T, H, W, C), not a copy
        weight = self.weight.flatten(1)
        half = torch.is_autocast_enabled("cpu") or x.dtype == torch.bfloat16
        theirs = half or kernels == "triton"  # PyTorch's is as fast in bf16
        product = F.linear if theirs else _Product.apply
        out: Tensor = product(rows, weight)
        return out.permute(0, 4, 1, 2, 3)

    def with_norm(
        self,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        activation: Activation,
        other: Tensor | None = None,
    ) -> Tensor:
        """activation(convolution * scale + shift + other) at once, without gradients.

        Args:
            x: (B, C, T, H, W), covered by kernels of ours.
            scale: (out,).
            shift: (out,).
            activation: what comes last; `relu` if there is `other`.
            other: of the output's shape.
        """
        if kernels_for(x) == "triton":
            out: Tensor = self(x)
            if other is not None:
                other = other.to(out.dtype).contiguous(memory_format=LAST)
            scale, shift = (each.expand(len(x), -1) for each in (scale, shift))
            return apply(out, scale, shift, activation, other, out=out)
        weight = self.weight.flatten(1)
        if torch.is_autocast_enabled("cpu") and x.dtype == torch.float32:
            x = x.to(torch.get_autocast_dtype("cpu"))
        if other is not None:
            other = other.to(x.dtype).contiguous(memory_format=LAST)
        x = self._strided(x)
        shape = (len(x), len(weight), *x.shape[2:])
        out = torch.empty(shape, dtype=x.dtype, memory_format=LAST)
        dtype = DTYPES[x.dtype]
        matrix, scale, shift = weight.T.to(dtype), scale.to(dtype), shift.to(dtype)
        _multiply(x, matrix, out, other, scale, shift, activation)
        return out

    def takes_norm(self, x: Tensor) -> bool:
        """Whether `with_norm` pays: on CPUs not in bf16 on AMX, or an odd channel."""
        if kernels_for(x) == "triton":
            return True
        half = torch.is_autocast_enabled("cpu") or x.dtype == torch.bfloat16
        return not half or (self.in_channels % 2 == 0 and not _has_amx())

    def _strided(self, x: Tensor) -> Tensor:
        step = self.stride[1]
        return x[..., ::step, ::step].contiguous(memory_format=LAST)


class _Product(torch.autograd.Function):
    """Rows (..., C) times weights (N, C), transposed."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weight)
        out = rows.new_empty((*rows.shape[:-1], len(weight)))
        _multiply(rows, weight.T, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        to_rows = to_weight = None
        if ctx.needs_input_grad[0]:
            to_rows = torch.empty_like(rows)
            _multiply(gradient, weight, to_rows)
        if ctx.needs_input_grad[1]:
            to_weight = gradient.flatten(0, -2).T @ rows.flatten(0, -2)
        return to_rows, to_weight


def _multiply(
    x: Tensor,
    matrix: Tensor,
    out: Tensor,
    other: Tensor | None = None,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    activation: Activation = "none",
) -> None:
    """Into `out`, activation(x @ matrix * scale + shift + other), over all pixels."""
    inputs, outputs = matrix.shape
    sizes = (x.numel() // inputs, inputs, outputs, *matrix.stride())
    given, number = (x, matrix, other, scale, shift), NUMBER[activation]
    call("pointwise_forward", x.dtype, *given, out, number, sizes)


def widen(
    x: Tensor,
    expand: PointwiseConv3d,
    norm: tuple[Tensor, Tensor],
    weight: Tensor,
    stride: int,
    silu: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Moments | None]:
    """A 1x1x1 convolution with norm and ReLU, then a depthwise 3x3x3, no gradients.

    On CPUs the wide map in between is never in memory as a whole.

    Args:
        x: (B, C, T, H, W), covered by kernels of ours, `expand.takes_norm` of it.
        expand: the 1x1x1 convolution, to C' channels.
        norm: scale and shift (C',) after it.
        weight: (C', 1, 3, 3, 3).
        stride: of the depthwise convolution in space, 1 or 2.
        silu: scale and shift (C',) after it, then SiLU; None: nothing follows.

    Returns:
        (B, C', T, ceil(H / stride), ceil(W / stride)); its moments, if the same pass
        gives them.
    """
    if kernels_for(x) == "triton":
        wide = expand.with_norm(x, *norm, "relu")
        if silu is None:
            return depthwise_moments(wide, weight, stride)
        return depthwise_scaled(wide, weight, stride, silu, "silu"), None
    if torch.is_autocast_enabled("cpu") and x.dtype == torch.float32:
        x = x.to(torch.get_autocast_dtype("cpu"))
    x, dtype = x.contiguous(memory_format=LAST), DTYPES[x.dtype]
    batch, inputs, frames, height, width = x.shape
    sides = (-(-side // stride) for side in (height, width))
    shape = (batch, len(weight), frames, *sides)
    out = torch.empty(shape, dtype=x.dtype, memory_format=LAST)
    first = expand.weight.flatten(1).to(dtype).contiguous()
    taps = weight.to(x.dtype).flatten(1).T.to(dtype).contiguous()
    scale, shift = (each.to(dtype) for each in norm)
    after = (None, None) if silu is None else [each.to(dtype) for each in silu]
    sizes = (batch, frames, height, width, inputs, len(weight), stride)
    threads = torch.get_num_threads()
    arguments = (x, first, scale, shift, taps, *after, out, (*sizes, threads))
    call("widen_forward", x.dtype, *arguments)
    return out, None


@cache
def _has_amx() -> bool:
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
