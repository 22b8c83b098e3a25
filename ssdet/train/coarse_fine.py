"""Train the coarse stream with fusion, on cached features of a frozen fine stream.

Source: Kahatapitiya and Ryoo, CVPR 2021 (arXiv:2103.01302); spec of Coarse-Fine,
sections 3.4, 6 and 7.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ssdet.config import CoarseFineConfig, DatasetRecipe, ModelConfig
from ssdet.data.clips import Clips, Item, Shape
from ssdet.data.feature_store import FeatureStore
from ssdet.data.sampling import feature_window
from ssdet.models import build_coarse_fine
from ssdet.models.x3d import FEATURES
from ssdet.stage import run
from ssdet.train import detection, distributed, loop
from ssdet.train.checkpoint import load_initial
from ssdet.train.detection_clips import DetectionClips, network_input
from ssdet.train.execution import channels_last
from ssdet.train.losses import (
    detection_loss,
    interpolate_in_time,
    resize_in_index,
)
from ssdet.train.plan import plan_of_epochs
from ssdet.train.run import add_training_arguments, begin, identity
from ssdet.train.setup import add_sections, shards_of
from ssdet.train.validation import validation_map
from ssdet.train.weights import start_from
from ssdet.train.whole_video import predict_coarse_fine

REVISION = 1
SECTIONS = (*detection.SECTIONS, "coarse_fine")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.train.coarse_fine")
    add_training_arguments(parser)
    add_sections(parser, SECTIONS)
    parser.add_argument("--coarse", required=True, help="pretext of the coarse stream")
    parser.add_argument("--fine", required=True, help="pretext of the fine stream")
    parser.add_argument("--init", type=Path, required=True, help="pretrained trunk")
    parser.add_argument("--features-dir", type=Path, required=True)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, train, write one checkpoint."""
    args = arguments().parse_args(argv)
    cfg = CoarseFineConfig.model_validate_json(args.coarse_fine)
    with distributed.session(args.device, args.out) as world:
        data = detection.open_training(args)
        data.check_choice("coarse_fine", cfg.keep)
        names = shards_of(data.videos.dataset, args.frames, "training")
        features = FeatureStore(args.features_dir, names)
        features.require(stride=data.stride, classes=data.classes)
        this = begin(
            "coarse_fine",
            REVISION,
            SECTIONS,
            args,
            world,
            data.videos,
            also={"features": features.as_parent()},
            coarse=args.coarse,
            fine=args.fine,
            fine_sha256=features.attributes["checkpoint_sha256"],
            features_made=identity(features),
            pool=features.attributes["pool"],
            features_dtype=features.attributes["dtype"],
        )
        torch.manual_seed(args.seed)
        config = ModelConfig.model_validate_json(args.model)
        model = build_coarse_fine(config, cfg, len(data.classes))
        start_from(model.trunk, load_initial(args.init), ("head.fc2.",), str(args.init))
        predict = partial(
            predict_coarse_fine,
            data.view(world.device, args.precision),
            features,
            cfg.compat,
        )
        clips = TwoStreamClips(data.clips, features, cfg)
        factor = cfg.fusion_rate_factor
        weights = loop.train(
            this,
            model,
            cfg,
            plan_of_epochs(cfg, len(data.training), data.spatial.crop),
            Clips(clips.item, (args.seed, "coarse_fine")),  # the same for every pair
            partial(two_stream_loss, data.recipe, cfg, data.stride),
            partial(validation_map, predict, data, world),
            keep_best=cfg.keep == "best",
            factor=lambda name: factor if name.startswith("fusion.") else 1.0,
        )
        this.finish(weights, data.classes)


@dataclass(frozen=True)
class TwoStreamClips:
    """Clips for the coarse stream, each with the fine features around it."""

    coarse: DetectionClips
    features: FeatureStore
    cfg: CoarseFineConfig

    def item(self, number: int, shape: Shape, source: torch.Generator) -> Item:
        """Draw a clip.

        Returns:
            As `DetectionClips.clip`; one entry for each kind of feature,
            (C, T', 7, 7); feature_mask (T',), ones; start, the clip's first sampled
            frame as a row of these features.
        """
        item, first = self.coarse.clip(number, shape, source)
        video_id = self.coarse.records[number].video_id
        rows, width = self.features.info(video_id).length, self.cfg.fine_frames
        start = first / self.coarse.stride
        window = feature_window(rows, start, self.cfg.frames, width)
        if self.cfg.compat == "reference":
            window, start = 0, (first + 1) // self.coarse.stride
        fine = self.features.read(video_id, window, min(rows, window + width), FEATURES)
        taken = next(iter(fine.values())).shape[1]
        return {
            **item,
            **fine,
            "feature_mask": torch.ones(taken),
            "start": torch.tensor(float(start - window)),
        }


def two_stream_loss(
    recipe: DatasetRecipe,
    cfg: CoarseFineConfig,
    stride: int,
    network: nn.Module,
    batch: Item,
    step: int,
    slots: tuple[int, int],
) -> Tensor:
    """The loss of one step; see `unpooled_loss`."""
    video = channels_last(network_input(batch, recipe))
    fine = {key: batch[key].float() for key in FEATURES}
    logits = network(video, fine, batch["feature_mask"], batch["start"])
    return unpooled_loss(logits, batch, cfg.compat, stride)


def unpooled_loss(logits: Tensor, batch: Item, compat: str, stride: int) -> Tensor:
    """Mean of localisation and classification loss, at every source frame.

    Args:
        logits: (B, K, 4 L), from Grid Unpool.
        batch: of the clips.
        compat: `fixed`, frame r is read at clip time r / stride; `reference`, the
            output is resized to the frames by index, which lags by 4.5 of them (spec of
            Coarse-Fine, section 6).
        stride: source frames from one sampled frame to the next.
    """
    labels, device = batch["labels"].float(), logits.device
    frames = labels.shape[2]
    if compat == "reference":
        logits = resize_in_index(logits, frames, align_corners=False)
    else:
        last = max(batch["video"].shape[2] - 1, 1)  # in sampled frames, as all times
        outputs = torch.linspace(0, last, logits.shape[2], device=device)
        times = torch.arange(frames, device=device) / stride
        logits = interpolate_in_time(logits, outputs, times)  # (B, K, R)
    return detection_loss(logits, labels, batch["mask"])[0]


if __name__ == "__main__":
    run(main)
