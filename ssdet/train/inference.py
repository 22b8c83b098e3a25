"""What the stages that run a trained detector over whole videos share."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from ssdet.config import DatasetRecipe, SamplingConfig, SpatialConfig
from ssdet.provenance import Moment, Parent, block, label_files
from ssdet.stage import add_device_argument, choose_device, device_name
from ssdet.train import setup
from ssdet.train.detectors import STAGES, Detector, load_detector
from ssdet.train.whole_video import View

# Sections that a detector sees its videos through: those it was trained with.
SEEN_THROUGH = ("dataset", "spatial", "sampling")


def inference_arguments(
    program: str, sections: Sequence[str]
) -> argparse.ArgumentParser:
    """The command line of such a stage, but for what is its own.

    Args:
        program: as it is called.
        sections: config sections it takes, `frames` and those of SEEN_THROUGH included.
    """
    parser = argparse.ArgumentParser(prog=program)
    setup.add_data_arguments(parser)
    setup.add_sections(parser, sections)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    add_device_argument(parser)
    return parser


@dataclass(frozen=True)
class Inference:
    """A detector, in evaluation mode, and the videos it is to see.

    Attributes:
        model: the detector.
        checkpoint: what its file holds.
        videos: the data set, with the frames of one split.
        view: how the network sees a video.
        recipe: of the data set.
        spatial: config section.
        sampling: config section.
    """

    model: Detector
    checkpoint: Mapping[str, Any]
    videos: setup.Videos
    view: View
    recipe: DatasetRecipe
    spatial: SpatialConfig
    sampling: SamplingConfig

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return self.videos.dataset.classes


def prepare(
    args: argparse.Namespace, split: str, stages: Sequence[str] = STAGES
) -> Inference:
    """Open the videos of a split, and rebuild the detector that is to see them.

    Args:
        args: of a parser of `inference_arguments`.
        split: training or testing.
        stages: of which the detector's checkpoint may be.

    Raises:
        StageError: the detector's stage, classes or sections are not those asked for.
        ValueError: the frames or the inventory cannot be read.
    """
    spatial = SpatialConfig.model_validate_json(args.spatial)
    recipe = DatasetRecipe.model_validate_json(args.dataset)
    device = choose_device(args.device)
    videos = setup.open_videos(args, split)
    seen = {name: getattr(args, name) for name in SEEN_THROUGH}
    model, checkpoint = load_detector(
        args.checkpoint, videos.dataset.classes, seen, device, stages
    )
    return Inference(
        model,
        checkpoint,
        videos,
        View(videos.store, spatial, recipe.mean, recipe.std, device),
        recipe,
        spatial,
        SamplingConfig.model_validate_json(args.sampling),
    )


def inference_block(
    stage: str,
    revision: int,
    sections: Sequence[str],
    args: argparse.Namespace,
    device: torch.device,
    started: Moment,
    parents: Mapping[str, Parent] = MappingProxyType({}),
) -> dict[str, Any]:
    """The provenance block of such a stage.

    Args:
        stage: its name.
        revision: of the stage.
        sections: config sections it took.
        args: its arguments.
        device: it ran on.
        started: when.
        parents: what it read besides checkpoint, inventory and labels.
    """
    return block(
        stage,
        revision,
        {name: json.loads(getattr(args, name)) for name in sections},
        {
            "checkpoint": args.checkpoint,
            "inventory": args.inventory,
            **label_files(args),
            **parents,
        },
        started,
        device_name(device),
        int(device.type == "cuda"),
    )
