"""Volume augmentation of 8 x 3 x 16 x 224 x 224: ours against loops over clips.

    OMP_NUM_THREADS=1 python benchmarks/augment.py [--device cuda] [--json FILE]

All sides run in one process, in turn, on the same batch with the same draws; videos,
labels, weights and visibilities are compared first. The others are written from the
paper's description (`augment_loops.py`): *masks*, the straightforward way, multiplies
masks of the whole volume for each clip, and gathers pixel by pixel where columns slide;
*slices*, the careful way, copies and blends only what changes, frame by frame. Above 1:
ours is faster. On a GPU what counts is time on the clock.
"""

from collections.abc import Sequence
from functools import partial

import torch
from augment_loops import MASKS, SLICES, loop
from side_by_side import finish, in_turn, options, show, show_facts, summary

from ssdet.augment import policy
from ssdet.config import AugmentConfig

SHAPE = (8, 3, 16, 224, 224)
RECIPE = {
    "background": "class",
    "normalisation": "visible",
    "freeze": {"min_length": 2, "max_fraction": 0.5, "segments": 1},
    "mixup": {"covering": True, "shift": False, "symmetric": False},
    "cutmix": {"kind": "view", "covering": True},
    "joint": {"probability": 1.0, "per": "batch"},
}
CASES = {  # name -> pretext, kind of CutMix
    "freeze": ("freeze", "view"),
    "mixup": ("mixup", "view"),
    "cutmix, window": ("cutmix", "window"),
    "cutmix, view": ("cutmix", "view"),
    "all, window": ("joint", "window"),
    "all, view": ("joint", "view"),
}


def check(video, classes, draws, config):
    """See that all sides give the same."""
    mixed, soft = policy.apply(video, classes, draws, config)
    for paint in (MASKS, SLICES):
        expected, labels, weights, visible = loop(video, classes, draws, paint)
        torch.testing.assert_close(mixed, expected, rtol=1e-5, atol=2e-5)
        torch.testing.assert_close(soft.weights, weights, rtol=1e-5, atol=1e-5)
        assert soft.labels.equal(labels)
        assert soft.visible.equal(visible)


def main(argv: Sequence[str] | None = None) -> None:
    """Compare and measure every augmentation."""
    parser = options(__doc__, rounds=9)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args(argv)
    settle = torch.cuda.synchronize if args.device != "cpu" else lambda: None
    show_facts(args.device)
    source = torch.Generator().manual_seed(0)
    video = torch.randn(SHAPE, generator=source).to(args.device)
    classes = torch.arange(SHAPE[0], device=args.device)
    results: dict[str, object] = {"shape": list(SHAPE)}
    for name, (pretext, kind) in CASES.items():
        recipe = {**RECIPE, "cutmix": {"kind": kind, "covering": True}}
        config = AugmentConfig.model_validate(recipe)
        draws = policy.draw(pretext, SHAPE[0], SHAPE[2], 1, config, source)
        check(video, classes, draws, config)
        given = video, classes, draws
        calls = {
            "masks": partial(loop, *given, MASKS),
            "slices": partial(loop, *given, SLICES),
            "ours": partial(policy.apply, *given, config),
        }
        times = in_turn(calls, args.rounds, settle=settle)
        results[name] = summary(times, "masks", "slices")
        show(name, results[name])
    finish(args.json, "augment", results, args.device)


if __name__ == "__main__":
    main()
