"""X3D-M on a CPU, inference and training step: ours, the authors' and PyTorchVideo's.

    OMP_NUM_THREADS=2 python benchmarks/backbone.py [--json FILE]

One process, all sides in turn, on the same clips with the same weights: the authors'
network as released (its twin in `authors_network.py`, fp32), PyTorchVideo's if it is
installed (`pip install 'ssdet[bench]'`, fp32), ours in fp32 and in bf16. What they give
is compared first; a side that fails its gate has no ratio. Above 1: faster than the
authors' network.

Gates: logits within 1e-5 (fp32) and 1e-2 (bf16) of the authors', relative to their
norm. Loss within 1e-5, and gradients on the average no further from float64 than the
authors' (to the noise of such an average, a quarter). In bf16 the losses of a fixed run
of 20 steps within 2 % of those in fp32.

`--compile` adds the authors' network in `torch.compile`, in fp32 and bf16; compiling
takes minutes.
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from importlib import util

import torch
from authors_network import AuthorsX3D
from side_by_side import finish, in_turn, options, show, show_facts, summary
from torch import Tensor, nn
from torch.nn import functional as F

from ssdet.models import X3DDetector
from ssdet.models.initial import initialise
from ssdet.models.naming import foreign_name
from ssdet.models.sub_batch_norm import EPS

CLASSES, AUTHORS, VIDEO = 157, "authors", "pytorchvideo"
OURS = ("ours fp32", "ours bf16")
COMPILED = ("compiled fp32", "compiled bf16")  # the authors', by torch.compile
SMALL = (2, 3, 8, 64, 64)  # clips of the checks of gradients
DRAWS = 8  # of clips, over which their distances from float64 are averaged
NOISE = 1.25  # between two such averages
STEPS = 20
LAST = torch.channels_last_3d


def build(classes: int = CLASSES, passes: int = 40) -> X3DDetector:
    """Our network, with statistics of normalisation that fit its weights."""
    torch.manual_seed(0)
    sizes = {"depth_factor": 2.2, "width_factor": 2.0, "head_width": 2048}
    model = X3DDetector(**sizes, classes=classes, dropout=0.0, mode="loc")
    initialise(model)
    model.to(memory_format=LAST)
    free = model.backbone.stages[0][0].shortcut_norm  # PyTorchVideo has none there
    free.eval().running_var.fill_(1 - EPS)
    with torch.no_grad():
        for _ in range(passes):
            model(torch.randn(2, 3, 4, 64, 64))
    return model


def authors(model: X3DDetector) -> AuthorsX3D:
    """The twin, with the weights of `model`."""
    state = {}
    for ours, tensor in model.state_dict().items():
        name = foreign_name(ours, "reference")
        state[name.replace(".running_", ".bn.running_")] = tensor
    twin = AuthorsX3D(CLASSES)
    left = twin.load_state_dict(state, strict=False)
    assert not left.unexpected_keys
    assert all("split_bn" in n or "tracked" in n for n in left.missing_keys)
    return twin


def pytorchvideo(model: X3DDetector) -> nn.Module:
    """PyTorchVideo's X3D-M, with a head on every frame, and the weights of `model`."""
    from pytorchvideo.models.x3d import create_x3d

    theirs = create_x3d(
        input_clip_length=16,
        input_crop_size=224,
        model_num_class=CLASSES,
        dropout_rate=0.0,
        head_activation=None,
    )
    theirs.blocks[-1].pool.pool = nn.AdaptiveAvgPool3d((None, 1, 1))
    theirs.blocks[-1].output_pool = None
    names = set(theirs.state_dict())
    state = {}
    for ours, tensor in model.state_dict().items():
        name = foreign_name(ours, "pytorchvideo")
        if name in names:
            state[name] = tensor.view(theirs.state_dict()[name].shape)
    left = theirs.load_state_dict(state, strict=False)
    assert all("tracked" in name for name in left.missing_keys)
    return theirs


def infer(model: nn.Module, video: Tensor, half: bool = False) -> Tensor:
    """Logits (B, K, T)."""
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        return model(video)


def step(model: nn.Module, video: Tensor, half: bool = False) -> float:
    """Forward and backward; returns the loss."""
    model.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        logits = model(video).float()
        targets = (torch.arange(logits[0].numel()) % 50 == 0).view_as(logits[0]).float()
        loss = F.binary_cross_entropy_with_logits(logits, targets.expand_as(logits))
    loss.backward()
    return loss.item()


def apart(found: Tensor, expected: Tensor) -> float:
    """The norm of the difference over that of what is expected."""
    expected = expected.double().view_as(found)
    return ((found.double() - expected).norm() / expected.norm()).item()


def gradients(model: nn.Module, ours: X3DDetector) -> Tensor:
    """All gradients in one vector, in the order of our names."""
    if isinstance(model, X3DDetector):
        return torch.cat([p.grad.flatten() for p in model.parameters()])
    named = {name: p.grad for name, p in model.named_parameters()}
    names = [foreign_name(name, "reference") for name, _ in ours.named_parameters()]
    return torch.cat([named[name].flatten() for name in names])


def losses(model: nn.Module, half: bool) -> list[float]:
    """The losses of a fixed run on four clips, of which it sees two at a time."""
    model = copy.deepcopy(model).train()
    video = torch.randn(4, *SMALL[1:], generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    found = []
    for number in range(STEPS):
        clips = video[2 * (number % 2) :][:2]
        found.append(step(model, clips.to(memory_format=LAST), half))
        optimizer.step()
    return found


def check_inference(sides: dict[str, Callable[[], Tensor]]) -> dict[str, float]:
    """How far the logits are from the authors'; ends where a gate fails."""
    expected = sides[AUTHORS]()
    found = {name: apart(side(), expected) for name, side in sides.items()}
    for name, distance in found.items():
        allowed = 1e-2 if "bf16" in name else 1e-5
        print(f"logits, {name}: {distance:.1e} from the authors' (at most {allowed})")
        assert distance <= allowed, f"{name} fails its gate"
    return found


def check_training(ours: X3DDetector, twin: AuthorsX3D) -> dict[str, float]:
    """Losses and gradients against float64 and the authors'; ends at a failed gate."""
    exact, found = copy.deepcopy(ours).double(), {}
    for seed in range(DRAWS):
        video = torch.randn(SMALL, generator=torch.Generator().manual_seed(seed))
        loss = step(exact, video.double().to(memory_format=LAST))
        expected = gradients(exact, ours)
        sides = (("authors", twin, video), ("ours", ours, video.to(memory_format=LAST)))
        for name, network, clips in sides:
            distance = abs(step(network, clips) / loss - 1)
            found[f"loss {name}"] = max(found.get(f"loss {name}", 0), distance)
            mean = apart(gradients(network, ours), expected) / DRAWS
            found[f"gradient {name}"] = found.get(f"gradient {name}", 0) + mean
    full, half = losses(ours, half=False), losses(ours, half=True)
    found["losses bf16"] = max(abs(b / a - 1) for a, b in zip(full, half, strict=True))
    print("from float64:", ", ".join(f"{n} {value:.1e}" for n, value in found.items()))
    print(
        f"losses of {STEPS} steps: {full[0]:.4f} to {full[-1]:.4f}, bf16 {half[-1]:.4f}"
    )
    assert found["loss ours"] <= 1e-5
    assert found["gradient ours"] <= NOISE * found["gradient authors"]
    assert found["losses bf16"] <= 0.02
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Check, measure, print."""
    parser = options(__doc__, rounds=5)
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--crop", type=int, default=224, help="pixels")
    parser.add_argument("--compile", action="store_true", help="torch.compile too")
    parser.add_argument("--only", choices=("inference", "training"))
    args = parser.parse_args(argv)
    show_facts()
    ours = build()
    networks: dict[str, nn.Module] = {AUTHORS: authors(ours)}
    if util.find_spec("pytorchvideo"):
        networks[VIDEO] = pytorchvideo(ours)
    else:
        print("pytorchvideo is not installed: that side is left out")
    if args.compile:
        compiled = torch.compile(networks[AUTHORS])
        networks |= dict.fromkeys(COMPILED, compiled)
    networks |= dict.fromkeys(OURS, ours)
    shape = (args.clips, 3, args.frames, args.crop, args.crop)
    video = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    results: dict[str, object] = {"clips": list(shape)}
    for mode, run in (("inference", infer), ("training", step)):
        if args.only not in (None, mode):
            continue
        calls = {}
        for name, network in networks.items():
            network.train(mode == "training")
            clips = video.to(memory_format=LAST) if name in OURS else video
            calls[name] = partial(run, network, clips, "bf16" in name)
        if mode == "inference":
            results["gates inference"] = check_inference(calls)
        else:
            results["gates training"] = check_training(ours, networks[AUTHORS])
        against = [name for name in (AUTHORS, VIDEO) if name in networks]
        times = in_turn(calls, args.rounds)
        results[mode] = summary(times, *against, per=args.clips)
        show(f"{mode}, one clip", results[mode])
        results[f"{mode} rounds, s"] = times
    finish(args.json, "backbone", results)


if __name__ == "__main__":
    main()
