"""The Triton kernels on a GPU beside PyTorch's, and how far above the byte floor.

    OMP_NUM_THREADS=1 python benchmarks/gpu_kernels.py [--tiles] [--json FILE]

Not yet run on a GPU. What to do with one:

1. `pytest tests/kernels` compiles and checks every kernel on the device; compiling
   takes some minutes the first time.
2. This program (`--device cuda` is the default), on a GPU that does nothing else. It
   first measures what a copy reaches (bytes read and written in a second), then takes
   in bf16, 16 frames, crops of 224, channels_last_3d: X3D-M's depthwise layers; the
   norms with what follows them, and the pointwise layers, of its maps; its blocks as a
   whole, in training and evaluation. Every result and gradient is compared with the
   plain twin in float32 before it is timed, beside PyTorch's own in bf16: a difference
   above 0.4 % of the norm, of a block above twice PyTorch's, ends the program.
3. `floor` is the time of reading each input and writing each output once at the copy's
   rate; of a block, those of its convolutions alone, once forward and twice for the
   gradients (norms, gates and activations would be free). Columns: plain and ours in
   ms, half the distance of the quartiles, their ratio (above 1: ours is faster), and
   ours over the floor; for blocks also the kernels that either launches.
4. With --tiles, depthwise forward and gradients again with other tiles; put the best
   ones into `ssdet/kernels/gpu/depthwise.py`. The sizes of the norms' programs stand in
   `ssdet/kernels/gpu/norm.py`.
5. If ours is faster on every shape, set `resources.gpu_kernels: true` for good, and
   write the table, the device and the versions into benchmarks/RESULTS.md.

`--device cpu` runs it in Triton's interpreter (TRITON_INTERPRET=1), for tests on tiny
maps: its times mean nothing. Registers and spills:
`python tests/kernels/gpu/compile_kernels.py --x3d-m`, which needs no GPU.
"""

import copy
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial

import torch
from gpu_table import Table, apart, milliseconds, require_as_near, require_equal
from side_by_side import finish, options, show_facts
from torch import Tensor

from ssdet.kernels.gpu import plain, switch
from ssdet.kernels.norm import norm_act
from ssdet.kernels.pointwise import PointwiseConv3d
from ssdet.models.bottleneck import Bottleneck
from ssdet.models.sub_batch_norm import SubBatchNorm3d

FRAMES = 16
# Channels, side of the input, stride of X3D-M's layers; the last is 5x1x1, of the stem.
LAYERS = (
    (54, 112, 2),
    (54, 56, 1),
    (108, 56, 2),
    (108, 28, 1),
    (216, 28, 2),
    (216, 14, 1),
    (432, 14, 2),
    (432, 7, 1),
)
STEM = (24, 112, 1)
# Channels in and out of an expansion, side, of the four stages.
STAGES = ((24, 54, 56), (48, 108, 28), (96, 216, 14), (192, 432, 7))


def switched(state: str, call: Callable[..., Tensor], *given: Tensor) -> Tensor:
    """Call with our kernels "on" or "off", under autocast."""
    os.environ[switch.SWITCH] = state
    with torch.autocast(given[0].device.type, torch.bfloat16):
        return call(*given)


def depthwise(
    layer: tuple[int, int, int], taps: tuple[int, int, int], table: Table
) -> None:
    """Forward, with moments too, and gradients of input and weight, of one layer."""
    from ssdet.kernels.gpu import depthwise as kernels

    channels, side, stride = layer
    x = table.draw(channels, side).requires_grad_()
    weight = torch.randn(channels, 1, *taps, requires_grad=True)
    wide = [t.detach().bfloat16().float().requires_grad_() for t in (x, weight)]
    half = weight.detach().bfloat16().requires_grad_()
    out = kernels.depthwise(x, weight, stride)
    theirs = plain.depthwise(x, half, stride)
    exact = plain.depthwise(*wide, stride)
    upper = table.draw(channels, out.shape[-1])
    name = f"{channels} x {side}, {'x'.join(map(str, taps))} / {stride}"
    require_equal(name, out, exact)
    found = torch.autograd.grad(out, (x, weight), upper, retain_graph=True)
    right = torch.autograd.grad(exact, wide, upper.float())
    for what, gradient, correct in zip(("input", "weight"), found, right, strict=True):
        require_equal(f"{name}, gradient of the {what}", gradient, correct)
    norm = (torch.rand(channels) + 0.5, torch.randn(channels))
    given = (*wide, stride, *norm, "silu")
    folded = kernels.depthwise_scaled(x.detach(), weight, stride, *norm, "silu")
    require_equal(f"{name}, folded norm", folded, plain.depthwise_scaled(*given))
    _, *found = kernels.depthwise_moments(x, weight, stride)
    for moment, correct in zip(found, plain.moments(out), strict=True):
        if not apart(moment, correct) < 1e-5:
            sys.exit(f"{name}: the moments are not those of the result")
    del wide, exact, found, right, given, folded

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


def norms(channels: int, side: int, table: Table) -> None:
    """Statistics, norm and what follows it, of one map: forward and gradients."""
    x = table.draw(channels, side).requires_grad_()
    other = table.draw(channels, side).requires_grad_()
    upper = table.draw(channels, side)
    layer = SubBatchNorm3d(channels)
    parameters = (layer.weight, layer.bias)
    os.environ[switch.SWITCH] = "on"
    for name, activation, added in (
        ("norm + ReLU", "relu", ()),
        ("norm + shortcut + ReLU", "relu", (other,)),
        ("norm + swish", "silu", ()),
    ):

        def ours(activation=activation, added=added):
            found = layer.statistics(x)
            return norm_act(x, *parameters, found, activation, *added)

        def theirs(activation=activation, added=added):
            out = torch.nn.functional.batch_norm(
                x, None, None, *parameters, True, 0.0, plain.EPS
            )
            return plain.activate(out + added[0] if added else out, activation)

        given = (x, *parameters, *added)
        out, stock = ours(), theirs()
        exact = plain.norm_act(x, *parameters, activation, *added)
        require_equal(name, out, exact)
        both = (
            torch.autograd.grad(result, given, upper, retain_graph=True)
            for result in (out, exact)
        )
        for mine, right in zip(*both, strict=True):
            require_equal(f"{name}, gradient", mine, right)
        size, title = 2 * x.numel(), f"{channels} x {side}, {name}"
        table.line(f"{title} forward", theirs, ours, (2 + len(added)) * size)
        calls = [
            partial(torch.autograd.grad, result, given, upper, retain_graph=True)
            for result in (stock, out)
        ]
        table.line(f"{title} gradients", *calls, (3 + 2 * len(added)) * size)


def pointwise(sizes: tuple[int, int, int], table: Table) -> None:
    """An expansion as a matrix product, beside PyTorch's convolution."""
    channels, inner, side = sizes
    x = table.draw(channels, side).requires_grad_()
    layer = PointwiseConv3d(channels, inner).to(memory_format=torch.channels_last_3d)
    name = f"{channels} to {inner} x {side}, pointwise"
    calls = [partial(switched, state, layer, x) for state in ("off", "on")]
    outs = [call() for call in calls]
    require_equal(name, outs[1], outs[0])
    upper = table.draw(inner, side)
    moved = 2 * (x.numel() + upper.numel())
    table.line(f"{name} forward", *calls, moved)
    given = (x, layer.weight)
    calls = [
        partial(torch.autograd.grad, out, given, upper, retain_graph=True)
        for out in outs
    ]
    table.line(f"{name} gradients", *calls, 2 * moved)


def block(sizes: tuple[int, int, int], gated: bool, table: Table) -> None:
    """A block of X3D of stride 1, in training and in evaluation."""
    channels, inner, side = sizes
    model = Bottleneck(channels, inner, channels, 1, gated).to(
        memory_format=torch.channels_last_3d
    )
    x = table.draw(channels, side).requires_grad_()
    upper, given = table.draw(channels, side), (x, *model.parameters())
    name = f"{channels}, {inner} x {side}, {'gated ' if gated else ''}block"
    wide = copy.deepcopy(model)
    wide_x = x.detach().float().requires_grad_()
    os.environ[switch.SWITCH] = "off"
    exact = wide(wide_x)
    right = torch.autograd.grad(exact, (wide_x, *wide.parameters()), upper.float())
    right = torch.cat([each.flatten() for each in right])
    outs, worst = [], []
    for state in ("off", "on"):
        outs.append(switched(state, model, x))
        found = torch.autograd.grad(outs[-1], given, upper, retain_graph=True)
        found = torch.cat([each.float().flatten() for each in found])
        worst.append((apart(outs[-1], exact), apart(found, right)))
    for what, theirs, ours in zip(("result", "gradients"), *worst, strict=True):
        require_as_near(f"{name}, {what}", ours, theirs)
    del right, found
    calls = [partial(switched, state, model, x) for state in ("off", "on")]
    moved = 4 * x[:, 0].numel() * (channels + 2 * inner)
    table.line(f"{name} forward", *calls, moved, count=True)
    gradients = [
        partial(torch.autograd.grad, out, given, upper, retain_graph=True)
        for out in outs
    ]
    table.line(f"{name} gradients", *gradients, 2 * moved, count=True)
    model.eval()
    wide.eval().load_state_dict(model.state_dict())
    with torch.no_grad():
        exact = wide(wide_x)
        theirs, ours = (apart(call(), exact) for call in calls)
        require_as_near(f"{name}, evaluation", ours, theirs)
        table.line(f"{name} evaluation", *calls, moved, count=True)


def tiles(table: Table) -> None:
    """Times of forward and gradients in ms with other tiles, the best ones first."""
    from ssdet.kernels.gpu import depthwise as kernels

    for channels, side, stride in LAYERS:
        x = table.draw(channels, side)
        taps = torch.randn(27, channels, dtype=torch.bfloat16)
        upper = table.draw(channels, -(-side // stride))
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
    parser.add_argument("--device", default="cuda", help="cpu: interpreted")
    parser.add_argument("--tiles", action="store_true", help="try other tiles")
    args = parser.parse_args(argv)
    if args.device != "cpu" and not torch.cuda.is_available():
        print("PyTorch sees no GPU (nvidia-smi shows whether there is one): no figures")
        return
    if not switch.can_take(torch.zeros(1, device=args.device)):
        sys.exit("the kernels run on CPUs with TRITON_INTERPRET=1 only")
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    show_facts(args.device)
    with torch.device(args.device):
        table = Table(args.batch, FRAMES)
        for layer in LAYERS:
            depthwise(layer, (3, 3, 3), table)
        depthwise(STEM, (5, 1, 1), table)
        for sizes in STAGES:
            norms(*sizes[1:], table)
            pointwise(sizes, table)
            for gated in (False, True):
                block(sizes, gated, table)
        if args.tiles:
            tiles(table)
    rows = {"batch": table.batch, "copy_bytes_ms": table.rate, "lines": table.rows}
    finish(args.json, "gpu_kernels", rows, args.device)


if __name__ == "__main__":
    main()
