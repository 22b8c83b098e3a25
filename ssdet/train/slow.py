"""Fine-tune a pretrained detector on every 4th frame: the slow stream alone.

Source: Kahatapitiya et al., AAAI 2023 (arXiv:2111.13675), table 2b; spec of
Coarse-Fine, section 8.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from ssdet.config import DatasetRecipe, ModelConfig, SlowConfig
from ssdet.data.clips import Clips, Item
from ssdet.models import build_detector
from ssdet.models.lateral import RATIO
from ssdet.stage import run
from ssdet.train import detection, distributed, loop
from ssdet.train.checkpoint import load_initial
from ssdet.train.detection_clips import network_input
from ssdet.train.execution import channels_last
from ssdet.train.losses import detection_loss, interpolate_in_time
from ssdet.train.plan import plan_of_epochs
from ssdet.train.run import begin
from ssdet.train.validation import validation_map
from ssdet.train.weights import start_from
from ssdet.train.whole_video import predict_slow

REVISION = 1
SECTIONS = (*detection.SECTIONS, "slow")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    return detection.stream_arguments("python -m ssdet.train.slow", SECTIONS)


def main(argv: list[str] | None = None) -> None:
    """Read arguments, train, write one checkpoint."""
    args = arguments().parse_args(argv)
    cfg = SlowConfig.model_validate_json(args.slow)
    with distributed.session(args.device, args.out) as world:
        data = detection.open_training(args)
        this = begin(
            "slow", REVISION, SECTIONS, args, world, data.videos, pretext=args.pretext
        )
        torch.manual_seed(args.seed)
        config = ModelConfig.model_validate_json(args.model)
        model = build_detector(config, len(data.classes))
        start_from(model, load_initial(args.init), ("head.fc2.",), str(args.init))
        view = data.view(world.device, args.precision)
        stride = RATIO * data.stride
        clips = replace(data.clips, stride=stride)
        weights = loop.train(
            this,
            model,
            cfg,
            plan_of_epochs(cfg, len(data.training), data.spatial.crop),
            Clips(clips.item, (args.seed, "slow")),  # the same for every pretext
            partial(slow_loss, data.recipe, stride),
            partial(validation_map, partial(predict_slow, view), data, world),
        )
        this.finish(weights, data.classes)


def slow_loss(
    recipe: DatasetRecipe,
    stride: int,
    network: nn.Module,
    batch: Item,
    step: int,
    slots: tuple[int, int],
) -> Tensor:
    """Mean of localisation and classification loss, at every source frame.

    The network's n-th logits stand for source frame n * `stride` of the clip. They are
    read between in time, since half a stride would be most of a second; the last ones
    hold to the clip's end.
    """
    logits = network(channels_last(network_input(batch, recipe)))  # (B, K, T / 4)
    labels = batch["labels"].float()
    own = torch.arange(logits.shape[2], device=logits.device) * stride
    frames = torch.arange(labels.shape[2], device=logits.device)
    logits = interpolate_in_time(logits, own, frames)  # (B, K, R)
    return detection_loss(logits, labels, batch["mask"])[0]


if __name__ == "__main__":
    run(main)
