"""A training step of Coarse-Fine: multi-stage fusion at 7 x 7 against native size.

    OMP_NUM_THREADS=2 python benchmarks/coarse_fine.py [--crop 224] [--json FILE]

X3D-M, clips of 64 frames with 128 frames of features, batch 2, forward and backward.
The other side is what one writes from the paper's description: feature maps are brought
to the size of their stage first (56, 28, 14, 7), and weighted means over time are taken
as a product of batch x channels x fine frames x coarse frames x height x width, summed.
The trunk, the weights and the inputs are the same; logits and gradients are compared
first, in float64 on a small input. A third side has no fusion at all: what lies above
it is the price of the fusion.

Peak memory can only grow in a process, so each side has processes of its own: their
resident memory, above that before the first step. Sides take turns; times are of the
processor, medians of several processes, with half the range behind.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

import torch
from side_by_side import finish, options, peak_mb, show_facts
from torch import Tensor
from torch.nn import functional as F

from ssdet.models import CoarseFine
from ssdet.models.fusion import NATIVE, DepthFusion, MultiStageFusion
from ssdet.models.initial import initialise
from ssdet.models.x3d import FEATURES, PRESETS

BATCH, FRAMES, FINE_FRAMES, CLASSES, POOL = 2, 64, 128, 157, 7
SIDES = ("no fusion", "ours", "native")
MEASURES = ("gigabytes", "seconds")


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


def inputs(
    model: CoarseFine, crop: int, frames: int = FRAMES, fine_frames: int = FINE_FRAMES
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Clips, features and starts."""
    source = torch.Generator().manual_seed(1)
    video = torch.randn(BATCH, 3, frames, crop, crop, generator=source)
    features = {
        name: torch.rand(BATCH, width, fine_frames, POOL, POOL, generator=source)
        for name, width in model.trunk.backbone.feature_channels.items()
    }
    video = video.contiguous(memory_format=torch.channels_last_3d)
    return video, features, torch.tensor([0.0, 40.0])


def step(side: str, crop: int) -> dict[str, float]:
    """One training step in this process."""
    model = network(side)
    video, features, start = inputs(model, crop)
    mask = torch.ones(BATCH, FINE_FRAMES)
    before, begun = peak_mb(), time.process_time()
    logits = model(video, features, mask, start)
    logits.square().mean().backward()
    seconds = time.process_time() - begun
    return {"gigabytes": (peak_mb() - before) / 1024, "seconds": seconds}


def in_process(side: str, crop: int) -> dict:
    """One training step in a process of its own."""
    command = [sys.executable, __file__, "--crop", str(crop), "--step", side]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def check() -> None:
    """See that both sides give the same, in float64 on a small input."""
    found = []
    for side in ("ours", "native"):
        model = network(side).double()
        video, features, start = inputs(model, crop=64, frames=8, fine_frames=6)
        features = {name: maps.double() for name, maps in features.items()}
        mask = torch.ones(BATCH, 6).double()
        logits = model(video.double(), features, mask, start)
        logits.square().mean().backward()
        gradients = {n: p.grad for n, p in model.named_parameters()}
        found.append((logits.detach(), gradients))
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-12)


def rows_of(found: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Medians, half the ranges, and how many times ours the other side takes."""
    middle = {
        side: {m: statistics.median(run[m] for run in runs) for m in MEASURES}
        for side, runs in found.items()
    }
    least, ours = middle["no fusion"], middle["ours"]
    rows = {}
    for side, runs in found.items():
        row = rows[side] = {}
        for m in MEASURES:
            values = [run[m] for run in runs]
            row[m] = middle[side][m]
            row[f"{m}_spread"] = (max(values) - min(values)) / 2
            row[f"{m}_ratio"] = row[m] / ours[m]
            fusion = (row[m] - least[m]) / (ours[m] - least[m])
            row[f"{m}_fusion_ratio"] = fusion
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Compare, then measure each side in processes of its own."""
    parser = options(__doc__, rounds=3)
    parser.add_argument("--crop", type=int, default=224, help="pixels")
    parser.add_argument("--step", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.step:
        print(json.dumps(step(args.step, args.crop)))
        return
    show_facts()
    print(f"crop {args.crop}, features {', '.join(FEATURES)}")
    check()
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(args.rounds):
        for side in SIDES:
            found[side].append(in_process(side, args.crop))
    rows = rows_of(found)
    head = (f"{m:>18}{'ratio':>7}{'of fusion':>11}" for m in MEASURES)
    print(f"{'':12}{''.join(head)}")
    for side, row in rows.items():
        cells = (
            f"{row[m]:10.2f} ± {row[f'{m}_spread']:5.2f}{row[f'{m}_ratio']:7.2f}"
            f"{row[f'{m}_fusion_ratio']:11.1f}"
            for m in MEASURES
        )
        print(f"{side:12}{''.join(cells)}")
    print("ratio: times ours; of fusion: above what the step takes without any")
    finish(args.json, "coarse_fine", {"crop": args.crop, "sides": rows})


if __name__ == "__main__":
    main()
