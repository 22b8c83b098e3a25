"""What the stages share that train detectors on a detection set."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ssdet.config import (
    DatasetRecipe,
    SamplingConfig,
    SpatialConfig,
    ValidationConfig,
)
from ssdet.data.annotations import VideoRecord
from ssdet.stage import StageError
from ssdet.train.detection_clips import DetectionClips
from ssdet.train.run import add_training_arguments
from ssdet.train.setup import Videos, add_sections, hold_out, open_videos
from ssdet.train.whole_video import View

SECTIONS = ("dataset", "frames", "model", "spatial", "sampling", "validation")


@dataclass(frozen=True)
class DetectionSet:
    """The training videos of a detection set, and how they are seen.

    Attributes:
        videos: the data set with its frames.
        training: videos to train on.
        held: videos set aside for validation.
        recipe: how its frames are scaled.
        spatial: crops.
        stride: source frames from one sampled frame to the next.
    """

    videos: Videos
    training: Sequence[VideoRecord]
    held: Sequence[VideoRecord]
    recipe: DatasetRecipe
    spatial: SpatialConfig
    stride: int

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.videos.dataset.classes

    @property
    def clips(self) -> DetectionClips:
        """How training clips are cut."""
        return DetectionClips(self.videos, self.training, self.stride, self.spatial)

    def view(self, device: torch.device, precision: str) -> View:
        """How whole videos reach a network."""
        return View(
            self.videos.store,
            self.spatial,
            self.recipe.mean,
            self.recipe.std,
            device,
            precision,
        )

    def check_choice(self, stage: str, keep: str) -> None:
        """See that there is something to choose the best weights on.

        Args:
            stage: for the message.
            keep: of its section, `best` or `last`.

        Raises:
            StageError: `keep` is best, and no video set aside shows an action.
        """
        if keep == "best" and not any(record.segments for record in self.held):
            raise StageError(
                f"{stage}.keep is best, but none of the {len(self.held)} videos of"
                f" {self.videos.dataset.name} set aside for choosing shows an action;"
                f" raise validation.fraction, or set {stage}.keep to last"
            )


def stream_arguments(program: str, sections: Sequence[str]) -> argparse.ArgumentParser:
    """The command line of a stage that trains one stream from a pretraining.

    Args:
        program: as it is called.
        sections: config sections that it takes.
    """
    parser = argparse.ArgumentParser(prog=program)
    add_training_arguments(parser)
    add_sections(parser, sections)
    parser.add_argument("--pretext", required=True, help="name of the pretraining")
    parser.add_argument("--init", type=Path, required=True, help="its checkpoint")
    return parser


def open_training(args: argparse.Namespace) -> DetectionSet:
    """Open the training videos that a command line names."""
    videos = open_videos(args, "training")
    fraction = ValidationConfig.model_validate_json(args.validation).fraction
    training, held = hold_out(videos.of("training"), fraction, args.seed)
    return DetectionSet(
        videos,
        training,
        held,
        DatasetRecipe.model_validate_json(args.dataset),
        SpatialConfig.model_validate_json(args.spatial),
        SamplingConfig.model_validate_json(args.sampling).stride,
    )
