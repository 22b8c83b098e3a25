"""A training step of Coarse-Fine: multi-stage fusion at 7 x 7 against native size.

    OMP_NUM_THREADS=2 python benchmarks/coarse_fine.py [--crop 224]

X3D-M, clips of 64 frames with 128 frames of features, batch 2, forward and backward.
The other side is what one writes from the paper's description: feature maps are brought
to the size of their stage first (56, 28, 14, 7), and weighted means over time are taken
as a product of batch x channels x fine frames x coarse frames x height x width, summed.
The trunk, the weights and the inputs are the same; logits and gradients are compared. A
third side has no fusion at all: what lies above it is the price of the fusion.

Peak memory can only grow in a process, so each side has processes of its own: their
resident memory, above that before the first step. Sides take turns; times are of the
processor, medians of several processes, with half the range behind.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime

import torch
from torch import Tensor
from torch.nn import functional as F

from ssdet.models import CoarseFine
from ssdet.models.fusion import NATIVE, DepthFusion, MultiStageFusion
from ssdet.models.initial import initialise
from ssdet.models.x3d import FEATURES, PRESETS

BATCH, FRAMES, FINE_FRAMES, CLASSES, POOL = 2, 64, 128, 157, 7
SIDES = ("no fusion", "ours", "native")
ROUNDS = 3


class NativeFusion(MultiStageFusion):
    """The same weights and results, with everything at the size of its stage."""

    def at_depths(self, features, mask, alignment):
        """Shift and scale of each depth, (B, C, K, H, W) at 56, 28, 14, 7."""
        pairs = []
        for index, (depth, maps) in enumerate(zip(self.depths, features, strict=True)):
            large = resize(maps, (NATIVE >> index, NATIVE >> index))
            gathered = gather(depth, large, mask, alignment)
            pairs.append((depth.shift(gathered), depth.scale(gathered)))
        return [shift for shift, _ in pairs], [scale for _, scale in pairs]

    def for_stage(self, stage, shifts, scales, size):
        """Shift and scale of one stage, mixed at its size."""
        shifts = [resize(shift, size) for shift in shifts]
        scales = [resize(scale, size) for scale in scales]
        return self.mixes[stage](shifts, scales)


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring (B, C, T, P, P) to (H, W) by adaptive max pooling."""
    return F.adaptive_max_pool2d(x.flatten(1, 2), size).unflatten(1, x.shape[1:3])


def gather(depth: DepthFusion, maps: Tensor, mask: Tensor, alignment: Tensor) -> Tensor:
    """The weighted mean over time, from a product that has every axis."""
    attention = torch.sigmoid(depth.attention(maps)) * mask[:, None, :, None, None]
    weight = attention[:, :, :, None] * alignment[:, None, :, :, None, None]
    product = maps[:, :, :, None] * weight  # (B, C, T', K, H, W)
    return product.sum(2) / (weight.sum(2) + 1e-6)


def network(side: str) -> CoarseFine:
    """One side's network, the same weights for all."""
    torch.manual_seed(0)
    depth, width = PRESETS["x3d_m"]
    model = CoarseFine(
        depth_factor=depth,
        width_factor=width,
        head_width=2048,
        classes=CLASSES,
        dropout=0.0,
        fine_frames=FINE_FRAMES,
        compat="reference",
        unpool="resize",
        film_init="default",
    )
    initialise(model)
    model.to(memory_format=torch.channels_last_3d)
    if side == "native":
        model.fusion.__class__ = NativeFusion  # same weights, other arithmetic
    elif side == "no fusion":
        model.fusion = None
    return model


def inputs(model: CoarseFine, crop: int) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Clips, features and starts."""
    source = torch.Generator().manual_seed(1)
    video = torch.randn(BATCH, 3, FRAMES, crop, crop, generator=source)
    features = {
        name: torch.rand(BATCH, width, FINE_FRAMES, POOL, POOL, generator=source)
        for name, width in model.trunk.backbone.feature_channels.items()
    }
    video = video.contiguous(memory_format=torch.channels_last_3d)
    return video, features, torch.tensor([0.0, 40.0])


def gigabytes() -> float:
    """Peak of resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def step(side: str, crop: int) -> dict[str, float | list[float]]:
    """One training step in this process."""
    model = network(side)
    video, features, start = inputs(model, crop)
    mask = torch.ones(BATCH, FINE_FRAMES)
    before, begun = gigabytes(), time.process_time()
    logits = model(video, features, mask, start)
    logits.square().mean().backward()
    seconds = time.process_time() - begun
    gradients = [
        parameter.grad.norm().item()
        for name, parameter in model.named_parameters()
        if name.startswith("fusion.depths") and name.endswith("weight")
    ]
    return {
        "gigabytes": gigabytes() - before,
        "seconds": seconds,
        "logits": logits.detach().flatten()[::997].tolist(),
        "gradients": gradients,
    }


def in_process(side: str, crop: int) -> dict:
    """One training step in a process of its own."""
    command = [sys.executable, __file__, "--crop", str(crop), "--step", side]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def check(found: dict[str, list[dict]]) -> None:
    """See that both sides give the same."""
    for name in ("logits", "gradients"):
        ours, native = (torch.tensor(found[s][0][name]) for s in ("ours", "native"))
        scale = native.abs().max().item()
        torch.testing.assert_close(ours, native, rtol=1e-2, atol=1e-4 * scale)


def main() -> None:
    """Print one line for each side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--crop", type=int, default=224, help="pixels")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--step", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--json", help="file for the numbers")
    args = parser.parse_args()
    if args.step:
        print(json.dumps(step(args.step, args.crop)))
        return
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()},", end=" ")
    print(f"load {os.getloadavg()[0]:.1f}, torch {torch.__version__},")
    threads = torch.get_num_threads()
    print(f"{threads} threads, fp32, crop {args.crop}, features {', '.join(FEATURES)}")
    keys = [key for key in os.environ if key.startswith(("MALLOC_", "GLIBC_"))]
    print("allocator:", ", ".join(f"{k}={os.environ[k]}" for k in keys) or "default")
    found: dict[str, list[dict]] = {side: [] for side in SIDES}
    for _ in range(args.rounds):
        for side in SIDES:
            found[side].append(in_process(side, args.crop))
    check(found)
    print(f"{'':12}{'peak GB':>18}{'of fusion':>12}{'seconds':>18}{'of fusion':>12}")
    base: dict[str, float] = {}
    for side in SIDES:
        line = f"{side:12}"
        for measure in ("gigabytes", "seconds"):
            values = [run[measure] for run in found[side]]
            middle, half = statistics.median(values), (max(values) - min(values)) / 2
            base.setdefault(measure, middle)
            line += f"{middle:10.2f} +-{half:5.2f}{middle - base[measure]:12.2f}"
        print(line)
    for measure in ("gigabytes", "seconds"):
        native, ours, least = (
            statistics.median(run[measure] for run in found[side])
            for side in ("native", "ours", "no fusion")
        )
        print(
            f"{measure}: native / ours {native / ours:.2f}, of the fusion alone"
            f" {(native - least) / (ours - least):.1f}"
        )
    if args.json:
        with open(args.json, "w") as file:
            json.dump(found, file)


if __name__ == "__main__":
    main()
