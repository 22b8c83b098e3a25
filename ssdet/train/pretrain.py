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
from ssdet.augment.cropped_frames import read_centre
from ssdet.augment.loss import augmented_loss
from ssdet.augment.soft_labels import SoftLabels, stacked_labels
from ssdet.augment.spatial import normalise
from ssdet.config import (
    AugmentConfig,
    DatasetRecipe,
    ModelConfig,
    PretrainConfig,
    SpatialConfig,
)
from ssdet.data.annotations import VideoRecord
from ssdet.data.clip_sampling import (
    VALIDATION_CROPS,
    train_window,
    validation_windows,
)
from ssdet.data.clips import Clips, Item, Shape, load_in_order
from ssdet.data.frame_label_file import FrameLabels
from ssdet.models import build_detector
from ssdet.randomness import generator
from ssdet.stage import StageError, run
from ssdet.train import distributed, loop, setup
from ssdet.train.checkpoint import load_initial
from ssdet.train.clip_labels import (
    annotated_classes,
    clip_labels,
    open_frame_labels,
)
from ssdet.train.detection_clips import crop_clip
from ssdet.train.distributed import World
from ssdet.train.execution import autocast, channels_last
from ssdet.train.plan import Plan, plan_of_steps
from ssdet.train.run import add_training_arguments, begin
from ssdet.train.weights import start_from, with_new_first_row

REVISION = 2
SECTIONS = ("dataset", "frames", "model", "spatial", "pretrain", "augment")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.train.pretrain")
    add_training_arguments(parser)
    setup.add_sections(parser, SECTIONS)
    parser.add_argument("--pretext", choices=policy.PRETEXTS, required=True)
    parser.add_argument("--init", default="", help="weights to start from, or nothing")
    parser.add_argument(
        "--frame-labels", default="", help="labels over time, or nothing"
    )
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, train, write one checkpoint."""
    args = arguments().parse_args(argv)
    cfg = PretrainConfig.model_validate_json(args.pretrain)
    with distributed.session(args.device, args.out) as world:
        videos = setup.open_videos(args, "training", "testing")
        shown = None
        if args.frame_labels:
            shown = open_frame_labels(Path(args.frame_labels), videos)
        else:
            check_single_labels(videos)
        this = begin(
            "pretrain",
            REVISION,
            SECTIONS,
            args,
            world,
            videos,
            starts=("init", "frame_labels"),
            pretext=args.pretext,
        )
        records = videos.of("training")
        spatial = SpatialConfig.model_validate_json(args.spatial)
        plan = plan_of_steps(cfg, len(records), spatial.crop)
        task = Pretext(
            videos=videos,
            pretext=args.pretext,
            cfg=cfg,
            plan=plan,
            augment=AugmentConfig.model_validate_json(args.augment),
            spatial=spatial,
            recipe=DatasetRecipe.model_validate_json(args.dataset),
            keys=(args.seed, "pretrain", args.pretext),
            frame_labels=shown,
        )
        torch.manual_seed(args.seed)
        config = ModelConfig.model_validate_json(args.model)
        model = build_detector(config, task.outputs)
        if args.init:
            load_start(model, args.init, cfg.copy_rows, task.outputs)
        keys = (args.seed, "pretrain")  # of every pretext: all see the same clips
        weights = loop.train(
            this,
            model,
            cfg,
            plan,
            Clips(partial(task.clip, records), keys),
            task.loss,
            partial(task.clean_accuracy, world, args.precision, args.workers),
        )
        this.finish(weights, task.names)


def load_start(model: nn.Module, path: str, copy_rows: bool, outputs: int) -> None:
    """Load the weights of a classifier, all but its last layer.

    Args:
        model: changed in place.
        path: safetensors, or a checkpoint of ours.
        copy_rows: the last layer too; a row for the background is put before it if it
            lacks just that.
        outputs: of the model.
    """
    weights = load_initial(Path(path))
    if copy_rows:
        weights = with_new_first_row(weights, model.state_dict(), "head.fc2.", outputs)
    start_from(model, weights, () if copy_rows else ("head.fc2.",), path)


@dataclass(frozen=True)
class Pretext:
    """The task of the pretraining: clips, augmented and scored.

    They have one label each, or labels over time where `frame_labels` are given.
    """

    videos: setup.Videos
    pretext: str
    cfg: PretrainConfig
    plan: Plan
    augment: AugmentConfig
    spatial: SpatialConfig
    recipe: DatasetRecipe
    keys: tuple[int | str, ...]
    frame_labels: FrameLabels | None = None

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
        self,
        records: Sequence[VideoRecord],
        number: int,
        shape: Shape,
        source: torch.Generator,
    ) -> Item:
        """Draw a clip: video (3, T, crop, crop) uint8, and its class from 0.

        With labels over time, these and their weights (M, T) in place of the class.
        """
        record = records[number]
        total = self.videos.store.info(record.video_id).frames
        shorter = self.cfg.frames // shape.frames
        frames = train_window(total, shape.frames, self.cfg.stride, source, shorter)
        video = crop_clip(
            self.videos, record.video_id, frames, self.spatial, shape.crop, source
        )
        if self.frame_labels is None:
            return {"video": video, "class": torch.tensor(self._class(record))}
        background = bool(policy.class_offset(self.augment))
        targets = clip_labels(
            self.frame_labels, self.videos, record, frames, background
        )
        return {"video": video, **targets}

    def loss(
        self, network: nn.Module, batch: Item, step: int, slots: tuple[int, int]
    ) -> Tensor:
        """Cross-entropy of every frame with its soft labels, once augmented.

        The network itself asks for the augmentation, at the level that was drawn: its
        input, or for manifold pretexts the output of a stage. Everything is drawn for
        the batch of all processes; `slots` are those that the clips come from.
        """
        planes = batch["video"].contiguous()  # augmentations move whole planes
        video = normalise(planes, self.recipe.mean, self.recipe.std)
        shape = self.plan.shape(step)
        source = generator(*self.keys, step)
        draws = policy.draw(
            self.pretext, shape.batch, shape.frames, shape.groups, self.augment, source
        ).share(*slots)
        level = policy.draw_level(self.pretext, source)
        labels: list[SoftLabels] = []
        shown = _shown(batch)

        def augment(x: Tensor) -> Tensor:
            x, soft = policy.apply(x, shown, draws, self.augment)
            labels.append(soft)
            return channels_last(x)

        if level > 0:
            video = channels_last(video)
        logits = network(video, augment, level).float()  # (B, K, T)
        groups = shape.groups // slots[1]
        return augmented_loss(logits, labels[0], self.augment.normalisation, groups)

    def clean_accuracy(
        self, world: World, precision: str, workers: int, network: nn.Module
    ) -> dict[str, float]:
        """Share of clips classified rightly, from frames that nothing was done to.

        Three crops in time for each video of the testing split, each judged alone by
        its logits' mean over time, background left out. Every process judges its share.
        With labels over time, a clip may be called by any class that it is marked to
        show, and those that show none do not count.
        """
        records = world.share(self.videos.of("testing"))
        size = max(1, self.cfg.batch_size // world.size // VALIDATION_CROPS)
        background = self.outputs - len(self.videos.dataset.classes)
        right = total = 0
        for batch in load_in_order(
            partial(self.clean_clips, records), len(records), size, workers
        ):
            video = batch["video"].flatten(0, 1).to(world.device)
            video = normalise(video, self.recipe.mean, self.recipe.std)
            with torch.inference_mode(), autocast(world.device, precision):
                logits = network(channels_last(video)).float().mean(2)  # (B, K)
            found = logits[:, background:].argmax(1).cpu()
            if self.frame_labels is None:
                right += int((found == batch["class"].flatten()).sum())
                total += len(found)
            else:
                shown = batch["shown"].flatten(0, 1)  # (B, K)
                right += int(shown.gather(1, found[:, None]).sum())
                total += int(shown.any(1).sum())
        rights, totals = world.sum(right, total)
        return {"clean_accuracy": rights / totals} if totals else {}

    def clean_clips(self, records: Sequence[VideoRecord], number: int) -> Item:
        """Video (crops, 3, T, crop, crop) uint8 and classes (crops,) of a video.

        With labels over time, which classes each crop shows (crops, K).
        """
        record, store = records[number], self.videos.store
        total = store.info(record.video_id).frames
        windows = validation_windows(total, self.cfg.frames, self.cfg.stride)
        clips = [
            read_centre(store, record.video_id, window, self.spatial.crop)
            for window in windows
        ]
        if self.frame_labels is not None:
            shown = annotated_classes(self.videos, record, windows)
            return {"video": torch.stack(clips), "shown": shown}
        classes = torch.full((len(clips),), self._class(record))
        return {"video": torch.stack(clips), "class": classes}

    def _class(self, record: VideoRecord) -> int:
        return self.videos.dataset.class_index[record.segments[0].label]


def _shown(batch: Item) -> Tensor | SoftLabels:
    """What the clips of a batch show: a class each, or labels over time."""
    if "class" in batch:
        return batch["class"]
    return stacked_labels(batch["labels"], batch["weights"])


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


if __name__ == "__main__":
    run(main)
