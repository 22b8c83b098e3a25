"""Train SlowFast_det: a slow stream, joined by a frozen fast one.

Source: Kahatapitiya et al., AAAI 2023 (arXiv:2111.13675), table 2b; spec of
Coarse-Fine, section 8.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch

from ssdet.config import ModelConfig, SlowFastConfig
from ssdet.data.clips import Clips
from ssdet.models import build_slowfast
from ssdet.models.lateral import RATIO
from ssdet.models.slowfast import FRESH, from_single_streams
from ssdet.stage import run
from ssdet.train import detection, distributed, loop
from ssdet.train.checkpoint import load_initial
from ssdet.train.detectors import fine_weights
from ssdet.train.inference import SEEN_THROUGH
from ssdet.train.plan import plan_of_epochs
from ssdet.train.run import add_training_arguments, begin
from ssdet.train.setup import add_sections
from ssdet.train.slow import slow_loss
from ssdet.train.validation import validation_map
from ssdet.train.weights import start_from
from ssdet.train.whole_video import predict_slowfast

REVISION = 1
SECTIONS = (*detection.SECTIONS, "slowfast")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.train.slowfast")
    add_training_arguments(parser)
    add_sections(parser, SECTIONS)
    parser.add_argument("--slow", required=True, help="pretext of the slow stream")
    parser.add_argument("--fast", required=True, help="pretext of the fast stream")
    parser.add_argument("--init", type=Path, required=True, help="pretrained slow one")
    parser.add_argument(
        "--fast-init", type=Path, required=True, help="checkpoint of train_fine"
    )
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, train, write one checkpoint."""
    args = arguments().parse_args(argv)
    cfg = SlowFastConfig.model_validate_json(args.slowfast)
    with distributed.session(args.device, args.out) as world:
        data = detection.open_training(args)
        data.check_choice("slowfast", cfg.keep)
        this = begin(
            "slowfast",
            REVISION,
            SECTIONS,
            args,
            world,
            data.videos,
            starts=("init", "fast_init"),
            slow=args.slow,
            fast=args.fast,
        )
        seen = {name: getattr(args, name) for name in SEEN_THROUGH}
        fast = fine_weights(args.fast_init, "--fast-init", data.classes, seen)
        torch.manual_seed(args.seed)
        config = ModelConfig.model_validate_json(args.model)
        model = build_slowfast(config, len(data.classes))
        start_from(
            model,
            from_single_streams(model, load_initial(args.init), fast),
            FRESH,
            f"{args.init} and {args.fast_init}",
        )
        view = data.view(world.device, args.precision)
        factor = cfg.fusion_rate_factor
        weights = loop.train(
            this,
            model,
            cfg,
            plan_of_epochs(cfg, len(data.training), data.spatial.crop),
            Clips(data.clips.item, (args.seed, "slowfast")),  # the same for every pair
            partial(slow_loss, data.recipe, RATIO * data.stride),
            partial(validation_map, partial(predict_slowfast, view), data, world),
            keep_best=cfg.keep == "best",
            factor=lambda name: factor if name.startswith(FRESH) else 1.0,
        )
        this.finish(weights, data.classes)


if __name__ == "__main__":
    run(main)
