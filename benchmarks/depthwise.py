"""Forward and backward of a depthwise 3x3x3 convolution: ours against PyTorch's.

    OMP_NUM_THREADS=1 python benchmarks/depthwise.py [--json FILE]

All sides run in one process, in turn, on the same values: PyTorch's in its default
layout and in channels_last_3d, ours in fp32 and in bf16. What they give is compared
with float64 first: outputs and both gradients within 1e-5 of it, relative to its norm,
and 1e-2 in bf16. Above 1: faster than PyTorch's in its default layout.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from side_by_side import finish, in_turn, options, show, show_facts, summary
from torch import Tensor
from torch.nn import functional as F

from ssdet.kernels.depthwise import depthwise_conv3d

# Batch, channels, frames, side, stride: X3D-M's stages, and two of the demo's network.
SHAPES = (
    (2, 54, 16, 112, 2),
    (2, 54, 16, 56, 1),
    (2, 108, 16, 28, 1),
    (2, 216, 16, 14, 1),
    (2, 432, 16, 7, 1),
    (16, 36, 16, 20, 2),
    (16, 54, 16, 10, 1),
)
LAST = torch.channels_last_3d
# Side -> function, type, layout.
SIDES: dict[str, tuple[str, torch.dtype, torch.memory_format]] = {
    "PyTorch": ("stock", torch.float32, torch.contiguous_format),
    "PyTorch, channels last": ("stock", torch.float32, LAST),
    "ours fp32": ("ours", torch.float32, LAST),
    "ours bf16": ("ours", torch.bfloat16, LAST),
}


def stock(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """PyTorch's own."""
    return F.conv3d(x, weight, None, (1, stride, stride), 1, 1, x.shape[1])


FUNCTIONS = {"stock": stock, "ours": depthwise_conv3d}


def step(
    function: Callable[[Tensor, Tensor, int], Tensor],
    x: Tensor,
    weight: Tensor,
    stride: int,
    gradient: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Forward and backward: output and both gradients."""
    x.grad = weight.grad = None
    out = function(x, weight, stride)
    out.backward(gradient)
    return out.detach(), x.grad, weight.grad


def main(argv: Sequence[str] | None = None) -> None:
    """Compare and measure every shape."""
    args = options(__doc__, rounds=7).parse_args(argv)
    show_facts()
    results: dict[str, object] = {}
    for batch, channels, frames, side, stride in SHAPES:
        torch.manual_seed(0)
        x = torch.randn(batch, channels, frames, side, side)
        weight = torch.randn(channels, 1, 3, 3, 3)
        gradient = torch.randn_like(stock(x, weight, stride))
        given = [tensor.double().requires_grad_() for tensor in (x, weight)]
        exact = step(stock, *given, stride, gradient.double())
        calls = {}
        for name, (function, dtype, layout) in SIDES.items():
            one, two, three = (
                tensor.detach().to(dtype).to(memory_format=layout)
                for tensor in (x, weight, gradient)
            )
            call = partial(
                step,
                FUNCTIONS[function],
                one.requires_grad_(),
                two.requires_grad_(),
                stride,
                three,
            )
            for found, expected in zip(call(), exact, strict=True):
                apart = (found.double() - expected).norm() / expected.norm()
                allowed = 1e-2 if dtype == torch.bfloat16 else 1e-5
                assert apart <= allowed, f"{name} is {apart:.1e} from float64"
            calls[name] = call
        title = f"({batch}, {channels}, {frames}, {side}, {side}), stride {stride}"
        results[title] = summary(in_turn(calls, args.rounds), "PyTorch")
        show(title, results[title])
    finish(args.json, "depthwise", {"shapes": results})


if __name__ == "__main__":
    main()
