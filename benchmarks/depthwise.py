"""Forward and backward of a depthwise 3x3x3 convolution: ours against PyTorch's.

    OMP_NUM_THREADS=1 python benchmarks/depthwise.py

Both sides run in one process, in turn, on the same tensors in channels_last_3d; what
counts is the ratio of their processor times, the median of several rounds. Equality is
checked first. The allocator's settings (MALLOC_*, GLIBC_TUNABLES) are printed, since
they change both sides.
"""

import os
import platform
import statistics
import time
from datetime import UTC, datetime

import torch
from torch.nn import functional as F

from ssdet.kernels.depthwise import depthwise_conv3d

ROUNDS = 7
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


def stock(x: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
    """PyTorch's own."""
    return F.conv3d(x, weight, None, (1, stride, stride), 1, 1, x.shape[1])


def step(function, x, weight, stride, gradient):
    """Forward and backward; returns the two gradients."""
    x.grad = weight.grad = None
    function(x, weight, stride).backward(gradient)
    return x.grad, weight.grad


def milliseconds(*call) -> float:
    """Processor time of one step."""
    begun = time.process_time()
    step(*call)
    return 1000 * (time.process_time() - begun)


def main() -> None:
    """Print one line for each shape."""
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.processor() or platform.machine()},"
    )
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, fp32;", end=" "
    )
    keys = [key for key in os.environ if key.startswith(("MALLOC_", "GLIBC_"))]
    print("allocator:", ", ".join(f"{k}={os.environ[k]}" for k in keys) or "default")
    print(f"{'B, C, T, side, stride':28}{'stock ms':>10}{'ours ms':>10}{'ratio':>8}")
    for batch, channels, frames, side, stride in SHAPES:
        torch.manual_seed(0)
        x = torch.randn(batch, channels, frames, side, side)
        x = x.contiguous(memory_format=torch.channels_last_3d).requires_grad_()
        weight = torch.randn(channels, 1, 3, 3, 3).requires_grad_()
        gradient = torch.randn_like(stock(x, weight, stride))
        given = (x, weight, stride, gradient)
        for ours, theirs in zip(
            step(depthwise_conv3d, *given), step(stock, *given), strict=True
        ):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
        times = [
            (milliseconds(stock, *given), milliseconds(depthwise_conv3d, *given))
            for _ in range(ROUNDS)
        ]
        theirs, ours = (statistics.median(side) for side in zip(*times, strict=True))
        shape = f"{batch}, {channels}, {frames}, {side}, {stride}"
        print(f"{shape:28}{theirs:10.1f}{ours:10.1f}{theirs / ours:8.1f}")


if __name__ == "__main__":
    main()
