"""Train the coarse stream alone: Grid Pool and Grid Unpool, without fusion.

Source: Kahatapitiya et al., AAAI 2023 (arXiv:2111.13675), table 2b; spec of
Coarse-Fine, section 7, step 4b.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from torch import Tensor, nn

from ssdet.config import CoarseConfig, DatasetRecipe, ModelConfig
from ssdet.data.clips import Clips, Item
from ssdet.models import build_coarse
from ssdet.stage import run
from ssdet.train import detection, distributed, loop
from ssdet.train.checkpoint import load_initial
from ssdet.train.coarse_fine import unpooled_loss
from ssdet.train.detection_clips import network_input
from ssdet.train.execution import channels_last
from ssdet.train.plan import plan_of_epochs
from ssdet.train.run import begin
from ssdet.train.validation import validation_map
from ssdet.train.weights import start_from
from ssdet.train.whole_video import predict_coarse_fine

REVISION = 1
SECTIONS = (*detection.SECTIONS, "coarse")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    return detection.stream_arguments("python -m ssdet.train.coarse", SECTIONS)


def main(argv: list[str] | None = None) -> None:
    """Read arguments, train, write one checkpoint."""
    args = arguments().parse_args(argv)
    cfg = CoarseConfig.model_validate_json(args.coarse)
    with distributed.session(args.device, args.out) as world:
        data = detection.open_training(args)
        data.check_choice("coarse", cfg.keep)
        this = begin(
            "coarse", REVISION, SECTIONS, args, world, data.videos, pretext=args.pretext
        )
        torch.manual_seed(args.seed)
        config = ModelConfig.model_validate_json(args.model)
        model = build_coarse(config, cfg, len(data.classes))
        start_from(model.trunk, load_initial(args.init), ("head.fc2.",), str(args.init))
        view = data.view(world.device, args.precision)
        predict = partial(predict_coarse_fine, view, None, cfg.compat)
        weights = loop.train(
            this,
            model,
            cfg,
            plan_of_epochs(cfg, len(data.training), data.spatial.crop),
            Clips(data.clips.item, (args.seed, "coarse")),  # the same for every pretext
            partial(coarse_loss, data.recipe, cfg, data.stride),
            partial(validation_map, predict, data, world),
            keep_best=cfg.keep == "best",
        )
        this.finish(weights, data.classes)


def coarse_loss(
    recipe: DatasetRecipe,
    cfg: CoarseConfig,
    stride: int,
    network: nn.Module,
    batch: Item,
    step: int,
    slots: tuple[int, int],
) -> Tensor:
    """The loss of one step; see `unpooled_loss`."""
    logits = network(channels_last(network_input(batch, recipe)))
    return unpooled_loss(logits, batch, cfg.compat, stride)


if __name__ == "__main__":
    run(main)
