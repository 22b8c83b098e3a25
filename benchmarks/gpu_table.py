"""A table of kernels on a GPU: ours beside PyTorch's, over the byte floor."""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from side_by_side import spread
from torch import Tensor

Run = Callable[[], object]


class Table:
    """Prints lines, and keeps their figures.

    Attributes:
        batch: clips of a map.
        frames: of a clip.
        rate: bytes that a copy of 1 GiB reads and writes in a millisecond.
        rows: name -> figures.
    """

    def __init__(self, batch: int, frames: int) -> None:
        self.batch, self.frames = batch, frames
        size = 2**30 if torch.cuda.is_available() else 2**20
        source = torch.empty(size, dtype=torch.uint8)
        target = torch.empty_like(source)
        self.rate = 2 * source.numel() / milliseconds(lambda: target.copy_(source))[0]
        self.rows: dict[str, dict[str, float]] = {}
        print(f"batch {batch}, copy {self.rate / 1e9:.2f} TB/s")
        heads = f"{'plain ms':>18}{'ours ms':>18}{'ratio':>8}{'floor':>10}{'over':>8}"
        print(f"{'':44}{heads}")

    def draw(self, channels: int, side: int) -> Tensor:
        """A map in bf16, in channels_last_3d."""
        shape = (self.batch, channels, self.frames, side, side)
        return torch.randn(shape, dtype=torch.bfloat16).contiguous(
            memory_format=torch.channels_last_3d
        )

    def line(
        self, name: str, theirs: Run, ours: Run, moved: int, count: bool = False
    ) -> None:
        """Time both; `moved` bytes at least are read and written."""
        (plain_ms, plain_spread), (our_ms, our_spread) = map(
            milliseconds, (theirs, ours)
        )
        floor = moved / self.rate
        self.rows[name] = {
            "plain_ms": plain_ms,
            "plain_spread_ms": plain_spread,
            "ours_ms": our_ms,
            "ours_spread_ms": our_spread,
            "ratio": plain_ms / our_ms,
            "floor_ms": floor,
            "over_floor": our_ms / floor,
        }
        text = (
            f"{name:44}{plain_ms:10.3f} ± {plain_spread:5.3f}{our_ms:10.3f} ±"
            f" {our_spread:5.3f}{plain_ms / our_ms:8.1f}{floor:10.3f}"
            f"{our_ms / floor:8.1f}"
        )
        if count:
            counts = launches(theirs), launches(ours)
            self.rows[name] |= dict(
                zip(("plain_launches", "our_launches"), counts, strict=True)
            )
            text += f"{counts[0]:6d}, {counts[1]} launches"
        print(text, flush=True)


def milliseconds(call: Run) -> tuple[float, float]:
    """Median time by the GPU's clock, its cache emptied in between, and its spread."""
    if not torch.cuda.is_available():  # in the interpreter, that it runs at all
        begin = time.perf_counter()
        call()
        return 1000 * (time.perf_counter() - begin), 0.0
    from triton.testing import do_bench

    times = do_bench(call, warmup=50, rep=300, return_mode="all")
    return statistics.median(times), spread(times)


def launches(call: Run) -> int:
    """Kernels and copies that a call starts on the GPU."""
    if not torch.cuda.is_available():
        return 0
    call()
    torch.cuda.synchronize()
    with torch.profiler.profile() as seen:
        call()
        torch.cuda.synchronize()
    on_gpu = torch.autograd.DeviceType.CUDA
    return sum(event.device_type == on_gpu for event in seen.events())


def apart(found: Tensor, exact: Tensor) -> float:
    """Distance over the norm of the exact one."""
    exact = exact.float()
    return ((found.float() - exact).norm() / exact.norm()).item()


def require_equal(name: str, ours: Tensor, exact: Tensor) -> None:
    """End the program if ours is not the exact result, rounded to bf16."""
    worst, allowed = apart(ours, exact), 4e-3 if ours.is_cuda else 8e-3
    if not worst < allowed:  # the interpreter cuts off instead of rounding
        sys.exit(f"{name}: ours differs from the plain twin by {worst:.1e} of its norm")


def require_as_near(name: str, ours: float, theirs: float) -> None:
    """End the program if ours is further from float32 than bf16 makes it."""
    if not ours < max(2 * theirs, 1e-2):
        sys.exit(f"{name}: {ours:.1e} of the norm from float32, PyTorch's {theirs:.1e}")
