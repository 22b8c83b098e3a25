"""The Triton kernels on a GPU beside PyTorch's, and how far above the byte floor.

    OMP_NUM_THREADS=1 python benchmarks/gpu_kernels.py [--tiles] [--json FILE]

Not yet run on a GPU. What to do with one:

1. `pytest tests/kernels/gpu` compiles and checks every kernel on the device; compiling
   takes some minutes the first time.
2. This program, on a GPU that does nothing else. It first measures what a copy reaches
   (bytes read and written in a second), then takes X3D-M's depthwise layers and the
   maps around them, in bf16, 16 frames, crops of 224, channels_last_3d. Every result
   and gradient is compared with the plain twin before it is timed; a difference above
   0.4 % of the norm ends the program.
3. `floor` is the time of reading each input and writing each output once at the copy's
   rate. Columns: plain and ours in ms, half the distance of the quartiles, their ratio
   (above 1: ours is faster), and ours over the floor. Where there is no GPU, the
   program says so and ends.
4. With --tiles, forward and gradients again with other tiles; put the best ones into
   `ssdet/kernels/gpu/depthwise.py`.
5. If ours is faster on every shape, set `resources.gpu_kernels: true` for good, and
   write the table, the device and the versions into benchmarks/RESULTS.md.

Spills (registers kept in memory) of a kernel: `cuobjdump --dump-resource-usage` on the
files below ~/.triton/cache.
"""

import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial

import torch
from side_by_side import finish, options, show_facts, spread

from ssdet.kernels.gpu import plain

FRAMES = 16
# Channels, side of the input, stride, layers of X3D-M; kernel 3x3x3, the last 5x1x1.
LAYERS = (
    (54, 112, 2, 1),
    (54, 56, 1, 2),
    (108, 56, 2, 1),
    (108, 28, 1, 4),
    (216, 28, 2, 1),
    (216, 14, 1, 10),
    (432, 14, 2, 1),
    (432, 7, 1, 6),
)
STEM = (24, 112, 1, 1)
Run = Callable[[], object]


class Table:
    """Prints lines, and keeps their figures.

    Attributes:
        rate: bytes that a copy of 1 GiB reads and writes in a millisecond.
        rows: name -> figures.
    """

    def __init__(self) -> None:
        source = torch.empty(2**30, dtype=torch.uint8, device="cuda")
        target = torch.empty_like(source)
        self.rate = 2 * source.numel() / milliseconds(lambda: target.copy_(source))[0]
        self.rows: dict[str, dict[str, float]] = {}
        print(f"copy {self.rate / 1e9:.2f} TB/s")
        heads = f"{'plain ms':>18}{'ours ms':>18}{'ratio':>8}{'floor':>10}{'over':>8}"
        print(f"{'':44}{heads}")

    def line(self, name: str, theirs: Run, ours: Run, moved: int) -> None:
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
        print(
            f"{name:44}{plain_ms:10.3f} ± {plain_spread:5.3f}{our_ms:10.3f} ±"
            f" {our_spread:5.3f}{plain_ms / our_ms:8.1f}{floor:10.3f}"
            f"{our_ms / floor:8.1f}",
            flush=True,
        )


def milliseconds(call: Run) -> tuple[float, float]:
    """Median time by the GPU's clock, its cache emptied in between, and its spread."""
    from triton.testing import do_bench

    times = do_bench(call, warmup=50, rep=300, return_mode="all")
    return statistics.median(times), spread(times)


def draw(*shape: int) -> torch.Tensor:
    """A map in bf16, in channels_last_3d."""
    tensor = torch.randn(*shape, device="cuda", dtype=torch.bfloat16)
    return tensor.contiguous(memory_format=torch.channels_last_3d)


def require_equal(name: str, ours: torch.Tensor, exact: torch.Tensor) -> None:
    """End the program if ours is not the exact result, rounded to bf16."""
    exact = exact.float()
    worst = ((ours.float() - exact).norm() / exact.norm()).item()
    if not worst < 4e-3:
        sys.exit(f"{name}: ours differs from the plain twin by {worst:.1e} of its norm")


def convolution(layer: tuple[int, int, int, int], batch: int, table: Table) -> None:
    """Forward, with moments too, and gradients of input and weight, of one layer."""
    from ssdet.kernels.gpu import depthwise as kernels

    channels, side, stride, _ = layer
    kernel = (5, 1, 1) if layer == STEM else (3, 3, 3)
    x = draw(batch, channels, FRAMES, side, side).requires_grad_()
    weight = torch.randn(channels, 1, *kernel, device="cuda", requires_grad=True)
    wide = [t.detach().bfloat16().float().requires_grad_() for t in (x, weight)]
    half = weight.detach().bfloat16().requires_grad_()
    out = kernels.depthwise(x, weight, stride)
    theirs = plain.depthwise(x, half, stride)
    exact = plain.depthwise(*wide, stride)
    upper = draw(*out.shape)
    name = f"{channels} x {side}, {'x'.join(map(str, kernel))} / {stride}"
    require_equal(name, out, exact)
    found = torch.autograd.grad(out, (x, weight), upper, retain_graph=True)
    right = torch.autograd.grad(exact, wide, upper.float())
    for what, gradient, correct in zip(("input", "weight"), found, right, strict=True):
        require_equal(f"{name}, gradient of the {what}", gradient, correct)
    del wide, exact, found, right

    moved = 2 * (x.numel() + out.numel())

    with torch.no_grad():
        table.line(
            f"{name} forward",
            lambda: plain.depthwise(x, half, stride),
            lambda: kernels.depthwise(x, weight, stride),
            moved,
        )
        table.line(
            f"{name} forward and moments",
            lambda: torch.var_mean(plain.depthwise(x, half, stride), (2, 3, 4)),
            lambda: kernels.depthwise_moments(x, weight, stride),
            moved,
        )
    for what, mine, other in (("input", x, x), ("weight", weight, half)):
        table.line(
            f"{name} gradient of the {what}",
            partial(torch.autograd.grad, theirs, other, upper, retain_graph=True),
            partial(torch.autograd.grad, out, mine, upper, retain_graph=True),
            moved,
        )


def elementwise(layer: tuple[int, int, int, int], batch: int, table: Table) -> None:
    """Swish x SE on a wide map, residual + ReLU on it too: forward and gradients."""
    from ssdet.kernels.gpu.scale_activate import scale_activate

    channels, side, _, _ = layer
    x = draw(batch, channels, FRAMES, side, side).requires_grad_()
    other = draw(*x.shape).requires_grad_()
    scale, shift = torch.randn(2, batch, channels, device="cuda").requires_grad_()
    upper = draw(*x.shape)
    for name, activation, added in (
        ("swish x SE", "silu", ()),
        ("residual + ReLU", "relu", (other,)),
    ):
        given = (x, scale, shift, *added)
        arguments = (x, scale, shift, activation, *added)
        out = scale_activate(*arguments)
        theirs = plain.scale_activate(*arguments)
        require_equal(name, out, theirs)
        both = (
            torch.autograd.grad(result, given, upper, retain_graph=True)
            for result in (out, theirs)
        )
        for ours, exact in zip(*both, strict=True):
            require_equal(f"{name}, gradient", ours, exact)
        size = 2 * x.numel()
        title = f"{channels} x {side}, {name}"
        calls = [
            partial(function, *arguments)
            for function in (plain.scale_activate, scale_activate)
        ]
        table.line(f"{title} forward", *calls, (2 + len(added)) * size)
        calls = [
            partial(torch.autograd.grad, result, given, upper, retain_graph=True)
            for result in (theirs, out)
        ]
        table.line(f"{title} gradients", *calls, (3 + 2 * len(added)) * size)


def tiles(batch: int) -> None:
    """Times of forward and gradients in ms with other tiles, the best ones first."""
    from ssdet.kernels.gpu import depthwise as kernels

    for channels, side, stride, _ in LAYERS:
        x = draw(batch, channels, FRAMES, side, side)
        taps = torch.randn(27, channels, device="cuda", dtype=torch.bfloat16)
        small = -(-side // stride)
        upper = draw(batch, channels, FRAMES, small, small)
        kinds = {
            "forward": partial(kernels._forward, x, taps, stride),
            "weight": partial(kernels._weight_gradient, x, upper, 27, stride),
        }
        if stride == 2:
            kinds["input"] = partial(kernels._input_gradient, upper, taps, x)
        for kind, run in kinds.items():
            times = []
            for rows, columns in ((1, 4), (1, 8), (2, 4), (2, 8), (4, 4), (4, 8)):
                for wide in (16, 32, 64):
                    for warps in (2, 4, 8):
                        tile = kernels.Tile(rows, columns, wide, warps)
                        times.append((milliseconds(partial(run, tile=tile))[0], tile))
            print(f"{channels} x {side} / {stride}, {kind}:")
            for ms, tile in sorted(times, key=lambda pair: pair[0])[:3]:
                print(f"  {ms:8.3f} {tile}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Check and measure everything."""
    parser = options(__doc__)
    parser.add_argument("--batch", type=int, default=64, help="clips")
    parser.add_argument("--tiles", action="store_true", help="try other tiles")
    args = parser.parse_args(argv)
    if not torch.cuda.is_available():
        print("PyTorch sees no GPU (nvidia-smi shows whether there is one): no figures")
        return
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    show_facts("cuda")
    print(f"batch {args.batch}")
    table = Table()
    for layer in (*LAYERS, STEM):
        convolution(layer, args.batch, table)
    for layer in LAYERS[1::2]:
        elementwise(layer, args.batch, table)
    if args.tiles:
        tiles(args.batch)
    rows = {"batch": args.batch, "copy_bytes_ms": table.rate, "lines": table.rows}
    finish(args.json, "gpu_kernels", rows, "cuda")


if __name__ == "__main__":
    main()
