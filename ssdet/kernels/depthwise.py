"""Depthwise convolutions with sane gradients on CPUs: 3x3x3, and 5x1x1 of the stem.

PyTorch's CPU backward of a depthwise conv3d takes many times its forward. Here compiled
kernels do both, in channels_last_3d. Without them (`compiled.py`) the gradient of the
input is still a fast convolution, of the output's gradient with the mirrored kernel
(zeros put between its pixels first, where the stride was 2); the gradient of the weight
is then PyTorch's own. On other devices, `F.conv3d` does all, or the kernels of `gpu`
where they are switched on; these give the moments of the result, or its norm and
activation, in the same pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ssdet.kernels.compiled import DTYPES, call, covers
from ssdet.kernels.gpu import switch

if TYPE_CHECKING:
    from ssdet.kernels.gpu.plain import Epilogue

Moments = tuple[Tensor, Tensor]
LAST = torch.channels_last_3d
SPACE, TIME = (3, 3, 3), (5, 1, 1)  # what is compiled


def depthwise_conv3d(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve each channel with its own kernel, zero padding half of it, no bias.

    Args:
        x: (B, C, T, H, W).
        weight: (C, 1, 3, 3, 3), or (C, 1, 5, 1, 1).
        stride: spatial stride, 1 or 2; the temporal stride is 1.

    Returns:
        (B, C, T, ceil(H / stride), ceil(W / stride)), for a 3x3x3 kernel equal to
        `F.conv3d(x, weight, stride=(1, stride, stride), padding=1, groups=C)`.

    Raises:
        ValueError: `weight` has another shape, or `stride` is not 1 or 2, or not 1 with
            a kernel in time alone.
    """
    _require_known(x, weight, stride)
    if switch.covers(x):
        from ssdet.kernels.gpu.depthwise import depthwise

        return depthwise(_as_autocast(x), weight, stride)
    if x.device.type != "cpu":
        return _convolve(x, weight, stride)
    training = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    fast = covers(x)
    spatial = weight.shape[2:] == SPACE
    if not fast and not (training and x.requires_grad and spatial):
        return _convolve(x, weight, stride)
    if torch.is_autocast_enabled("cpu"):  # which does not look into what follows
        half = torch.get_autocast_dtype("cpu")
        x, weight = x.to(half), weight.to(half)
    if not fast:
        return _PlainGradients.apply(x, weight, stride)
    if training:
        return _Compiled.apply(x, weight, stride)
    return _forward(x.contiguous(memory_format=LAST), weight, stride)


def depthwise_moments(
    x: Tensor, weight: Tensor, stride: int
) -> tuple[Tensor, Moments | None]:
    """As `depthwise_conv3d`, and moments of the result if the same pass gives them.

    Raises:
        ValueError: as `depthwise_conv3d`.
    """
    if not switch.covers(x):
        return depthwise_conv3d(x, weight, stride), None
    from ssdet.kernels.gpu import depthwise

    _require_known(x, weight, stride)
    out, mean, square = depthwise.depthwise_moments(_as_autocast(x), weight, stride)
    return out, (mean, square)


def depthwise_scaled(
    x: Tensor,
    weight: Tensor,
    stride: int,
    norm: tuple[Tensor, Tensor],
    epilogue: Epilogue,
) -> Tensor:
    """epilogue(convolution * scale + shift) in one pass; without gradients.

    Args:
        x: (B, C, T, H, W), covered by the kernels of GPUs.
        weight: as for `depthwise_conv3d`.
        stride: as for `depthwise_conv3d`.
        norm: scale and shift (C,).
        epilogue: what comes last.

    Raises:
        ValueError: as `depthwise_conv3d`.
    """
    from ssdet.kernels.gpu import depthwise

    _require_known(x, weight, stride)
    x = _as_autocast(x)
    return depthwise.depthwise_scaled(x, weight, stride, *norm, epilogue)


def _require_known(x: Tensor, weight: Tensor, stride: int) -> None:
    kernel = tuple(weight.shape[2:])
    if weight.shape[:2] != (x.shape[1], 1) or kernel not in (SPACE, TIME):
        raise ValueError(
            f"a depthwise kernel for {x.shape[1]} channels has shape"
            f" ({x.shape[1]}, 1, 3, 3, 3) or ({x.shape[1]}, 1, 5, 1, 1),"
            f" got {tuple(weight.shape)}"
        )
    if stride not in (1, 2):
        raise ValueError(f"the spatial stride must be 1 or 2, got {stride}")
    if stride != 1 and kernel == TIME:
        raise ValueError(f"a kernel in time alone has stride 1, got {stride}")


def _as_autocast(x: Tensor) -> Tensor:
    """What autocast, which does not look into kernels of ours, would make of it."""
    if not torch.is_autocast_enabled(x.device.type):
        return x
    return x.to(torch.get_autocast_dtype(x.device.type))


def _convolve(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    padding = [side // 2 for side in weight.shape[2:]]
    steps = (1, stride, stride)
    return F.conv3d(x, weight, None, steps, padding, 1, x.shape[1])


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        x = x.contiguous(memory_format=LAST)
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return _forward(x, weight, stride)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0].to(x.dtype).contiguous(memory_format=LAST)
        to_x = to_weight = None
        if ctx.needs_input_grad[0] and ctx.stride == 1:
            to_x = _forward(gradient, weight.flip(2, 3, 4), 1)
        elif ctx.needs_input_grad[0]:
            to_x = torch.empty_like(x)
            sizes = _sizes(x, 2)
            taps = _taps(weight)
            call("depthwise_input_gradient", x.dtype, gradient, taps, to_x, sizes)
        if ctx.needs_input_grad[1]:
            found = torch.empty_like(_taps(weight))
            name = "temporal" if weight.shape[2] == TIME[0] else "depthwise"
            sizes = _sizes(x, ctx.stride, name)
            call(f"{name}_weight_gradient", x.dtype, x, gradient, found, sizes)
            to_weight = found.T.reshape(weight.shape).to(weight.dtype)
        return to_x, to_weight, None


def _forward(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    name = "temporal" if weight.shape[2] == TIME[0] else "depthwise"
    sides = (-(-side // stride) for side in x.shape[3:])
    out = torch.empty((*x.shape[:3], *sides), dtype=x.dtype, memory_format=LAST)
    sizes = _sizes(x, stride, name)
    call(f"{name}_forward", x.dtype, x, _taps(weight), out, sizes)
    return out


def _taps(weight: Tensor) -> Tensor:
    """(C, 1, ...) -> (taps, C), in the type of the kernels' arithmetic."""
    return weight.flatten(1).T.to(DTYPES[weight.dtype]).contiguous()


def _sizes(x: Tensor, stride: int, name: str = "depthwise") -> tuple[int, ...]:
    batch, channels, frames, height, width = x.shape
    if name == "temporal":
        return batch, frames, height * width, channels
    return batch, frames, height, width, channels, stride


class _PlainGradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        x = x.contiguous(memory_format=LAST)
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return _convolve(x, weight, stride)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=LAST)
        stride = ctx.stride
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            to_x = _convolve(
                _spread(gradient, x.shape[3:], stride), weight.flip(2, 3, 4), 1
            )
        if ctx.needs_input_grad[1]:
            # in half precision it would take several times longer
            exact = torch.promote_types(weight.dtype, torch.float32)
            to_weight = torch.ops.aten.convolution_backward(
                gradient.to(exact),
                x.to(exact),
                weight.to(exact),
                None,
                (1, stride, stride),
                (1, 1, 1),
                (1, 1, 1),
                False,
                (0, 0, 0),
                x.shape[1],
                (False, True, False),
            )[1].to(weight.dtype)
        return to_x, to_weight, None


def _spread(gradient: Tensor, size: torch.Size, stride: int) -> Tensor:
    """Put zeros between the pixels of a strided convolution's gradient."""
    if stride == 1:
        return gradient
    shape, dtype = (*gradient.shape[:3], *size), gradient.dtype
    spread = torch.empty(shape, dtype=dtype, memory_format=LAST).zero_()
    spread[..., ::stride, ::stride] = gradient
    return spread
