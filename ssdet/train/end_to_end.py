"""Train the coarse stream and the fine one together, without stored features.

Source: Kahatapitiya and Ryoo, CVPR 2021 (arXiv:2103.01302), released code; spec of
Coarse-Fine, section 7.1.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ssdet.config import DatasetRecipe, EndToEndConfig, ModelConfig
from ssdet.data.clips import Clips, Item, Shape
from ssdet.data.sampling import draw_start, draw_start_before, window_samples
from ssdet.models import build_end_to_end
from ssdet.stage import run
from ssdet.train import detection, distributed, loop
from ssdet.train.checkpoint import load_initial
from ssdet.train.coarse_fine import unpooled_loss
from ssdet.train.detection_clips import DetectionClips, crop_clip, network_input
from ssdet.train.detectors import fine_weights
from ssdet.train.execution import channels_last
from ssdet.train.inference import SEEN_THROUGH
from ssdet.train.losses import detection_loss, resize_in_index
from ssdet.train.plan import plan_of_epochs
from ssdet.train.run import add_training_arguments, begin
from ssdet.train.setup import add_sections
from ssdet.train.validation import validation_map
from ssdet.train.weights import start_from
from ssdet.train.whole_video import predict_end_to_end

REVISION = 1
SECTIONS = (*detection.SECTIONS, "end_to_end")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.train.end_to_end")
    add_training_arguments(parser)
    add_sections(parser, SECTIONS)
    parser.add_argument("--pool", type=int, required=True, help="side of fine maps")
    parser.add_argument("--coarse", required=True, help="pretext of the coarse stream")
    parser.add_argument("--fine", required=True, help="pretext of the fine stream")
    parser.add_argument("--init", type=Path, required=True, help="pretrained trunk")
    parser.add_argument(
        "--fine-init", type=Path, required=True, help="checkpoint of train_fine"
    )
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, train, write one checkpoint."""
    args = arguments().parse_args(argv)
    cfg = EndToEndConfig.model_validate_json(args.end_to_end)
    with distributed.session(args.device, args.out) as world:
        data = detection.open_training(args)
        data.check_choice("end_to_end", cfg.keep)
        this = begin(
            "end_to_end",
            REVISION,
            SECTIONS,
            args,
            world,
            data.videos,
            starts=("init", "fine_init"),
            coarse=args.coarse,
            fine=args.fine,
            pool=args.pool,
        )
        seen = {name: getattr(args, name) for name in SEEN_THROUGH}
        fine = fine_weights(args.fine_init, "--fine-init", data.classes, seen)
        torch.manual_seed(args.seed)
        config = ModelConfig.model_validate_json(args.model)
        model = build_end_to_end(config, cfg, len(data.classes), args.pool)
        # ASSUME: coarse from the pretraining, fine from train_fine, as with stored
        # features; the reference also starts both from either.
        trunk = load_initial(args.init)
        start_from(model.coarse.trunk, trunk, ("head.fc2.",), str(args.init))
        start_from(model.fine, fine, (), str(args.fine_init))
        predict = partial(
            predict_end_to_end, data.view(world.device, args.precision), cfg.compat
        )
        factor = cfg.fusion_rate_factor
        clips = TwoClips(data.clips, cfg)
        weights = loop.train(
            this,
            model,
            cfg,
            plan_of_epochs(cfg, len(data.training), data.spatial.crop),
            Clips(clips.item, (args.seed, "end_to_end")),  # the same for every pair
            partial(end_to_end_loss, data.recipe, cfg, data.stride),
            partial(validation_map, predict, data, world),
            keep_best=cfg.keep == "best",
            factor=lambda name: factor if name.startswith("coarse.fusion.") else 1.0,
        )
        this.finish(weights, data.classes)


@dataclass(frozen=True)
class TwoClips:
    """A clip for the coarse stream, and one for the fine stream, of the same video.

    The fine clip begins no later than the coarse one. Both show the same part of the
    frames, since fusion joins what lies at the same place.
    """

    clips: DetectionClips
    cfg: EndToEndConfig

    def item(self, number: int, shape: Shape, source: torch.Generator) -> Item:
        """Draw both.

        Returns:
            As `DetectionClips.clip`; fine_video (3, T', crop, crop) uint8; fine_labels
            (K, R') uint8 and fine_mask (R',), ones, of the R' source frames it spans;
            start, the coarse clip's first frame among the fine ones.
        """
        clips, stride, count = self.clips, self.clips.stride, self.cfg.fine_frames
        total = clips.timeline(number).frames
        start = draw_start(total, shape.frames * stride, source)
        fine_start = draw_start_before(total, count * stride, start, source)
        frames = window_samples(total, start, shape.frames, stride)
        fine_frames = window_samples(total, fine_start, count, stride)
        both = crop_clip(
            clips.videos,
            clips.records[number].video_id,
            [*frames, *fine_frames],
            clips.spatial,
            shape.crop,
            source,
        )
        labels = clips.labels(number, start, shape.frames * stride)
        fine_labels = clips.labels(number, fine_start, count * stride)
        offset = (start - fine_start) / stride
        if self.cfg.compat == "reference":
            offset = (start - fine_start) // stride
        return {
            "video": both[:, : len(frames)],
            "valid": torch.ones(len(frames)),
            "labels": labels,
            "mask": torch.ones(labels.shape[1]),
            "fine_video": both[:, len(frames) :],
            "fine_labels": fine_labels,
            "fine_mask": torch.ones(fine_labels.shape[1]),
            "start": torch.tensor(float(offset)),
        }


def end_to_end_loss(
    recipe: DatasetRecipe,
    cfg: EndToEndConfig,
    stride: int,
    network: nn.Module,
    batch: Item,
    step: int,
    slots: tuple[int, int],
) -> Tensor:
    """The loss of one step: `unpooled_loss`, and some of the fine stream's own.

    The fine stream's logits are brought to its source frames as in `fine_loss`.
    """
    valid = batch["fine_mask"][:, ::stride]  # (B, T')
    fine = {"video": batch["fine_video"], "valid": valid}
    logits, fine_logits = network(
        channels_last(network_input(batch, recipe)),
        channels_last(network_input(fine, recipe)),
        valid,
        batch["start"],
    )
    labels = batch["fine_labels"].float()
    fine_logits = resize_in_index(fine_logits, labels.shape[2], align_corners=False)
    own = detection_loss(fine_logits, labels, batch["fine_mask"])[0]
    loss = unpooled_loss(logits, batch, cfg.compat, stride)
    return loss + cfg.fine_loss_weight * own


if __name__ == "__main__":
    run(main)
