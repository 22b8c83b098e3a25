"""Fine-tune a pretrained detector on a detection set: the single stream.

Source: Kahatapitiya et al., AAAI 2023 (arXiv:2111.13675), section 4; spec of SSDet,
section 4.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from torch import Tensor, nn

from ssdet.config import DatasetRecipe, FineConfig, ModelConfig
from ssdet.data.clips import Clips, Item
from ssdet.models import build_detector
from ssdet.stage import run
from ssdet.train import detection, distributed, loop
from ssdet.train.checkpoint import load_initial
from ssdet.train.detection_clips import network_input
from ssdet.train.execution import channels_last
from ssdet.train.losses import detection_loss, resize_in_index
from ssdet.train.plan import plan_of_epochs
from ssdet.train.run import begin
from ssdet.train.validation import validation_map
from ssdet.train.weights import start_from
from ssdet.train.whole_video import predict_fine

REVISION = 1
SECTIONS = (*detection.SECTIONS, "fine")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    return detection.stream_arguments("python -m ssdet.train.fine", SECTIONS)


def main(argv: list[str] | None = None) -> None:
    """Read arguments, train, write one checkpoint."""
    args = arguments().parse_args(argv)
    cfg = FineConfig.model_validate_json(args.fine)
    with distributed.session(args.device, args.out) as world:
        data = detection.open_training(args)
        this = begin(
            "fine", REVISION, SECTIONS, args, world, data.videos, pretext=args.pretext
        )
        torch.manual_seed(args.seed)
        config = ModelConfig.model_validate_json(args.model)
        model = build_detector(config, len(data.classes))
        start_from(model, load_initial(args.init), ("head.fc2.",), str(args.init))
        view = data.view(world.device, args.precision)
        weights = loop.train(
            this,
            model,
            cfg,
            plan_of_epochs(cfg, len(data.training), data.spatial.crop),
            Clips(data.clips.item, (args.seed, "fine")),  # the same for every pretext
            partial(fine_loss, data.recipe),
            partial(validation_map, partial(predict_fine, view), data, world),
        )
        this.finish(weights, data.classes)


def fine_loss(
    recipe: DatasetRecipe,
    network: nn.Module,
    batch: Item,
    step: int,
    slots: tuple[int, int],
) -> Tensor:
    """Mean of localisation and classification loss, at every source frame.

    The clip-rate logits are brought to the frames by half-pixel linear resizing
    (spec of SSDet, section 4).
    """
    logits = network(channels_last(network_input(batch, recipe)))  # (B, K, T)
    labels = batch["labels"].float()
    logits = resize_in_index(logits, labels.shape[2], align_corners=False)
    return detection_loss(logits, labels, batch["mask"])[0]


if __name__ == "__main__":
    run(main)
