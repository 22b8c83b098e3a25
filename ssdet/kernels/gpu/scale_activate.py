"""activation(x * scale + shift + other) on GPUs in one pass, and one for its gradients.

Twin in plain PyTorch: `plain.scale_activate`. With the scale of a normalisation times
the gate of squeeze-excitation it is swish x SE; with the shortcut as `other`, the end
of a residual block.
"""

from __future__ import annotations

from typing import Any

import torch
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from ssdet.kernels.gpu.elementwise import backward_kernel, forward_kernel
from ssdet.kernels.gpu.plain import Epilogue
from ssdet.kernels.gpu.switch import DTYPES

LAST = torch.channels_last_3d
ARITHMETIC = {torch.float32: tl.float32, torch.float64: tl.float64}
PIXELS, CHANNELS, WARPS = 16, 64, 4  # at a time
EACH = 8  # times that a program takes PIXELS


def scale_activate(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    activation: Epilogue,
    other: Tensor | None = None,
) -> Tensor:
    """activation(x * scale + shift + other), differentiable.

    Args:
        x: (B, C, T, H, W).
        scale: (B, C).
        shift: (B, C).
        activation: `linear` or `relu` if there is `other`.
        other: like `x`.

    Raises:
        ValueError: `silu` with `other`, of which the gradient would need what is not
            kept.
    """
    if other is not None and activation == "silu":
        raise ValueError("silu takes no other map to add: its gradient is not there")
    out: Tensor = _ScaleActivate.apply(x, scale, shift, other, activation)
    return out


class _ScaleActivate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        other: Tensor | None,
        activation: Epilogue,
    ) -> Tensor:
        x = x.contiguous(memory_format=LAST)
        if other is not None:
            other = other.to(x.dtype).contiguous(memory_format=LAST)
        out = torch.empty_like(x, memory_format=LAST)
        coefficients = _arithmetic(x, scale), _arithmetic(x, shift)
        grid, each = _grid(x)
        forward_kernel[grid](
            x,
            x if other is None else other,
            *coefficients,
            out,
            x.shape[2:].numel(),
            each,
            **_constants(x, activation, other is not None),
        )
        ctx.save_for_backward(x, *coefficients, None if other is None else out)
        ctx.activation = activation
        ctx.dtypes = scale.dtype, shift.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, out = ctx.saved_tensors
        gradient = gradients[0].to(x.dtype).contiguous(memory_format=LAST)
        to_x = torch.empty_like(x)
        to_other = None if out is None else torch.empty_like(x)
        grid, each = _grid(x)
        shape = (len(x), grid[0], 2, x.shape[1])
        partial = torch.empty(shape, dtype=scale.dtype, device=x.device)
        backward_kernel[grid](
            gradient,
            x,
            x if out is None else out,
            scale,
            shift,
            to_x,
            to_x if to_other is None else to_other,
            partial,
            x.shape[2:].numel(),
            each,
            **_constants(x, ctx.activation, out is not None),
        )
        sums = (
            total.to(dtype)
            for total, dtype in zip(partial.sum(1).unbind(1), ctx.dtypes, strict=True)
        )
        return to_x, *sums, to_other, None


def _arithmetic(x: Tensor, coefficients: Tensor) -> Tensor:
    return coefficients.detach().to(DTYPES[x.dtype]).contiguous()


def _grid(x: Tensor) -> tuple[tuple[int, int, int], int]:
    """Programs, and how often each takes PIXELS of a clip."""
    blocks = -(-x.shape[2:].numel() // PIXELS)
    each = min(EACH, blocks)
    return (-(-blocks // each), -(-x.shape[1] // CHANNELS), len(x)), each


def _constants(x: Tensor, activation: Epilogue, has_other: bool) -> dict[str, Any]:
    return {
        "CHANNELS": x.shape[1],
        "ACTIVATION": activation,
        "HAS_OTHER": has_other,
        "ARITHMETIC": ARITHMETIC[DTYPES[x.dtype]],
        "PIXELS": PIXELS,
        "CHANNELS_AT_ONCE": CHANNELS,
        "num_warps": WARPS,
        "enable_fp_fusion": True,
    }
