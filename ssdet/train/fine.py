"""Fine-tune a pretrained detector on a detection set: the single stream.

Source: Kahatapitiya et al., AAAI 2023 (arXiv:2111.13675), section 4; spec of SSDet,
section 4.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ssdet.config import (
    DatasetRecipe,
    FineConfig,
    ModelConfig,
    SamplingConfig,
    SpatialConfig,
    ValidationConfig,
)
from ssdet.data.clips import Clips, Item, steps_per_epoch
from ssdet.models import build_detector
from ssdet.models.sub_batch_norm import set_splits, split_free_state
from ssdet.provenance import now
from ssdet.stage import run
from ssdet.train import distributed, loop, setup
from ssdet.train.checkpoint import Rolling, Stateful, load_initial
from ssdet.train.detection_clips import DetectionClips, network_input
from ssdet.train.execution import autocast, channels_last, place
from ssdet.train.losses import detection_loss, resize_in_index
from ssdet.train.optimizer import build_optimizer
from ssdet.train.schedule import rate_at
from ssdet.train.validation import validation_map
from ssdet.train.weights import start_from
from ssdet.train.whole_video import View, predict_fine

REVISION = 1
SECTIONS = (
    "dataset",
    "frames",
    "model",
    "spatial",
    "sampling",
    "validation",
    "fine",
)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.train.fine")
    setup.add_training_arguments(parser)
    setup.add_sections(parser, SECTIONS)
    parser.add_argument("--pretext", required=True, help="name of the pretraining")
    parser.add_argument("--init", type=Path, required=True, help="its checkpoint")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, train, write one checkpoint."""
    args = arguments().parse_args(argv)
    started = now()
    cfg = FineConfig.model_validate_json(args.fine)
    sampling = SamplingConfig.model_validate_json(args.sampling)
    spatial = SpatialConfig.model_validate_json(args.spatial)
    recipe = DatasetRecipe.model_validate_json(args.dataset)
    parents = {
        "inventory": args.inventory,
        "training": Path(args.training),
        "init": args.init,
    }
    setup.check_parents(parents)
    with distributed.session(args.device) as world:
        videos = setup.open_videos(args, "training")
        job = setup.job_of(
            args, REVISION, SECTIONS, parents, videos, world, pretext=args.pretext
        )
        fraction = ValidationConfig.model_validate_json(args.validation).fraction
        records, held = setup.hold_out(videos.of("training"), fraction, args.seed)
        torch.manual_seed(args.seed)
        model = build_detector(
            ModelConfig.model_validate_json(args.model), len(videos.dataset.classes)
        )
        start_from(model, load_initial(args.init), ("head.fc2.",), str(args.init))
        set_splits(model, setup.splits(cfg, world))
        place(model, world.device)
        optimizer = build_optimizer(model, cfg)
        parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer}
        rolling = Rolling(args.out, job, parts, world.rank)
        epoch = steps_per_epoch(len(records), cfg.batch_size, cfg.clips_per_video)
        steps = cfg.epochs * epoch
        keys = (args.seed, "fine")  # of every pretext: all see the same clips
        source = DetectionClips(videos, records, cfg.frames, sampling.stride, spatial)
        clips = Clips(source.item, keys)
        view = View(videos.store, spatial, recipe.mean, recipe.std, world.device)
        loop.train(
            name="fine",
            seed=args.seed,
            model=model,
            optimizer=optimizer,
            rate=partial(rate_at, cfg, steps=steps, steps_per_unit=epoch),
            clips=clips,
            videos=len(records),
            batch_size=cfg.batch_size,
            clips_per_video=cfg.clips_per_video,
            loss_of=partial(fine_loss, world.wrap(model), recipe),
            steps=steps,
            rolling=rolling,
            world=world,
            workers=args.workers,
            checkpoint_seconds=args.checkpoint_seconds,
            validate=partial(
                validation_map,
                partial(predict_fine, model, view),
                videos,
                held if world.leads else (),
                sampling.stride,
            ),
            validate_every=cfg.validate_every * epoch,
        )
        setup.finish(
            args,
            rolling,
            "fine",
            job,
            parents,
            split_free_state(model),
            videos.dataset.classes,
            started,
            world,
        )


def fine_loss(
    network: nn.Module, recipe: DatasetRecipe, batch: Item, step: int
) -> Tensor:
    """Mean of localisation and classification loss, at every source frame.

    The clip-rate logits are brought to the frames by half-pixel linear resizing
    (spec of SSDet, section 4).
    """
    video = channels_last(network_input(batch, recipe))
    with autocast(video.device):
        logits = network(video)  # (B, K, T)
    labels = batch["labels"].float()
    logits = resize_in_index(logits, labels.shape[2], align_corners=False)
    return detection_loss(logits, labels, batch["mask"])[0]


if __name__ == "__main__":
    run(main)
