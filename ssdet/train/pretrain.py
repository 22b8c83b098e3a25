"""Pretrain a detector on a classification set, with volume augmentation.

Source: Kahatapitiya et al., AAAI 2023 (arXiv:2111.13675), section 3.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ssdet.augment import policy
from ssdet.augment.loss import augmented_loss
from ssdet.augment.soft_labels import SoftLabels
from ssdet.augment.spatial import normalise, test_crop
from ssdet.config import (
    AugmentConfig,
    DatasetRecipe,
    ModelConfig,
    PretrainConfig,
    SpatialConfig,
)
from ssdet.data.annotations import VideoRecord
from ssdet.data.clip_sampling import train_window, validation_windows
from ssdet.data.clips import Clips, Item
from ssdet.models import build_detector
from ssdet.models.sub_batch_norm import set_splits, split_free_state
from ssdet.provenance import now
from ssdet.randomness import generator
from ssdet.stage import StageError, run
from ssdet.train import distributed, loop, setup
from ssdet.train.checkpoint import Rolling, Stateful, load_initial
from ssdet.train.detection_clips import crop_clip
from ssdet.train.execution import autocast, channels_last, place
from ssdet.train.optimizer import build_optimizer
from ssdet.train.schedule import rate_at
from ssdet.train.weights import start_from

REVISION = 1
SECTIONS = ("dataset", "frames", "model", "spatial", "pretrain", "augment")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.train.pretrain")
    setup.add_training_arguments(parser)
    setup.add_sections(parser, SECTIONS)
    parser.add_argument("--pretext", choices=policy.PRETEXTS, required=True)
    parser.add_argument("--init", default="", help="weights to start from, or nothing")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, train, write one checkpoint."""
    args = arguments().parse_args(argv)
    started = now()
    cfg = PretrainConfig.model_validate_json(args.pretrain)
    parents = {"inventory": args.inventory, "training": Path(args.training)}
    if args.init:
        parents["init"] = Path(args.init)
    setup.check_parents(parents)
    with distributed.session(args.device) as world:
        videos = setup.open_videos(args, "training", "testing")
        job = setup.job_of(
            args, REVISION, SECTIONS, parents, videos, world, pretext=args.pretext
        )
        pretext = Pretext(
            videos=videos,
            pretext=args.pretext,
            cfg=cfg,
            augment=AugmentConfig.model_validate_json(args.augment),
            spatial=SpatialConfig.model_validate_json(args.spatial),
            recipe=DatasetRecipe.model_validate_json(args.dataset),
            keys=(args.seed, "pretrain", args.pretext, world.rank),
            device=world.device,
        )
        torch.manual_seed(args.seed)
        model = build_detector(
            ModelConfig.model_validate_json(args.model), pretext.outputs
        )
        if args.init:
            start_from(model, load_initial(args.init), ("head.fc2.",), args.init)
        set_splits(model, setup.splits(cfg, world))
        place(model, world.device)
        optimizer = build_optimizer(model, cfg)
        parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer}
        rolling = Rolling(args.out, job, parts, world.rank)
        records = videos.of("training")
        check_single_labels(videos)
        keys = (args.seed, "pretrain")  # of every pretext: all see the same clips
        clips = Clips(partial(pretext.clip, records), keys)
        loop.train(
            name="pretrain",
            seed=args.seed,
            model=model,
            optimizer=optimizer,
            rate=partial(rate_at, cfg, steps=cfg.steps, steps_per_unit=1),
            clips=clips,
            videos=len(records),
            batch_size=cfg.batch_size,
            clips_per_video=1,
            loss_of=partial(pretext.loss, world.wrap(model)),
            steps=cfg.steps,
            rolling=rolling,
            world=world,
            workers=args.workers,
            checkpoint_seconds=args.checkpoint_seconds,
            validate=partial(pretext.clean_accuracy, model),
            validate_every=cfg.validate_every,
        )
        setup.finish(
            args,
            rolling,
            "pretrain",
            job,
            parents,
            split_free_state(model),
            pretext.names,
            started,
            world,
        )


@dataclass(frozen=True)
class Pretext:
    """The task of the pretraining: clips with one label each, augmented and scored."""

    videos: setup.Videos
    pretext: str
    cfg: PretrainConfig
    augment: AugmentConfig
    spatial: SpatialConfig
    recipe: DatasetRecipe
    keys: tuple[int | str, ...]
    device: torch.device

    @property
    def outputs(self) -> int:
        """Classes of the detector: those of the data set, and background if used."""
        return policy.number_of_outputs(len(self.videos.dataset.classes), self.augment)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the outputs."""
        classes = self.videos.dataset.classes
        return ("background",) * (self.outputs - len(classes)) + classes

    def clip(
        self, records: Sequence[VideoRecord], number: int, source: torch.Generator
    ) -> Item:
        """Draw a clip: video (3, T, crop, crop) uint8, and its class from 0."""
        record = records[number]
        total = self.videos.store.info(record.video_id).frames
        frames = train_window(total, self.cfg.frames, self.cfg.stride, source)
        return {
            "video": crop_clip(
                self.videos, record.video_id, frames, self.spatial, source
            ),
            "class": torch.tensor(self._class(record)),
        }

    def loss(self, network: nn.Module, batch: Item, step: int) -> Tensor:
        """Cross-entropy of every frame with its soft labels, once augmented.

        The network itself asks for the augmentation, at the level that was drawn: its
        input, or for manifold pretexts the output of a stage.
        """
        video = normalise(batch["video"], self.recipe.mean, self.recipe.std)
        source = generator(*self.keys, step)
        draws = policy.draw(self.pretext, *_sizes(video), self.augment, source)
        level = policy.draw_level(self.pretext, source)
        labels: list[SoftLabels] = []

        def augment(x: Tensor) -> Tensor:
            x, soft = policy.apply(x, batch["class"], draws, self.augment)
            labels.append(soft)
            return channels_last(x)

        if level > 0:
            video = channels_last(video)
        with autocast(self.device):
            logits = network(video, augment, level)  # (B, K, T)
        return augmented_loss(logits.float(), labels[0], self.augment.normalisation)

    def clean_accuracy(self, model: nn.Module) -> dict[str, float]:
        """Share of clips classified rightly, from frames that nothing was done to.

        Three crops in time for each video of the testing split, each judged alone by
        its logits' mean over time, background left out.
        """
        right = total = 0
        background = self.outputs - len(self.videos.dataset.classes)
        for record in self.videos.of("testing"):
            frames = self.videos.store.info(record.video_id).frames
            windows = validation_windows(frames, self.cfg.frames, self.cfg.stride)
            clips = torch.stack(
                [
                    test_crop(
                        self.videos.store.read(record.video_id, window, self.device),
                        self.spatial.crop,
                    )
                    for window in windows
                ]
            )
            video = normalise(clips.to(self.device), self.recipe.mean, self.recipe.std)
            with torch.inference_mode(), autocast(self.device):
                logits = model(channels_last(video)).float().mean(2)  # (B, K)
            found = logits[:, background:].argmax(1)
            right += int((found == self._class(record)).sum())
            total += len(windows)
        return {"clean_accuracy": right / total}

    def _class(self, record: VideoRecord) -> int:
        return self.videos.dataset.class_index[record.segments[0].label]


def check_single_labels(videos: setup.Videos) -> None:
    """See that every clip has one label, which all its frames are taken to show.

    Raises:
        StageError: a clip has none or several; they are named.
    """
    bad = [
        f"{record.video_id} ({len(found)} labels)"
        for record in videos.dataset.records
        if len(found := {segment.label for segment in record.segments}) != 1
    ]
    if bad:
        raise StageError(
            f"{videos.dataset.name} is pretrained on as a set of clips with one label"
            f" each (config key classification), but {len(bad)} of"
            f" {len(videos.dataset.records)} have not: {', '.join(bad[:20])}. Remove"
            " them from its label files"
        )


def _sizes(video: Tensor) -> tuple[int, int, int, int]:
    batch, _, frames, height, width = video.shape
    return batch, frames, height, width


if __name__ == "__main__":
    run(main)
