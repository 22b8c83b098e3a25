"""Logits of every test video, by a temporal head.

Source: spec of the heads, sections 1 and 3.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ssdet.config import HeadConfig
from ssdet.models.heads import build_head
from ssdet.progress import Progress
from ssdet.stage import StageError
from ssdet.train.detectors import refuse_other_classes
from ssdet.train.head import features_made
from ssdet.train.head_steps import predict_steps
from ssdet.train.head_videos import open_steps


class HeadPredictions(NamedTuple):
    """What is to be written of a head.

    Attributes:
        classes: names of its outputs.
        parents: the files of features, by name.
        rows: (video_id, logits (F, K), times_s (F,)) of every test video.
    """

    classes: tuple[str, ...]
    parents: dict[str, Path]
    rows: Iterator[tuple[str, np.ndarray, np.ndarray]]


def head_predictions(
    args: argparse.Namespace, checkpoint: dict[str, Any], device: torch.device
) -> HeadPredictions:
    """Run a head over the test videos; nothing is computed before `rows` is read.

    Args:
        args: the command line of `predict`.
        checkpoint: of the stage head.
        device: where it runs.

    Raises:
        StageError: the checkpoint has no such epoch, or is of other classes or
            features; or no features are given.
    """
    epochs = checkpoint["epochs"]
    if args.epoch not in epochs:
        raise StageError(
            f"{args.checkpoint} has no epoch {args.epoch or 'at all (--epoch)'}, it has"
            f" {', '.join(sorted(epochs))}; selected needs validation.fraction above 0,"
            " best_on_test needs head.watch_test: true"
        )
    if not args.features_dir:
        raise StageError(
            f"{args.checkpoint} is a temporal head: give the features of the test"
            " videos with --features-dir"
        )
    cfg = HeadConfig.model_validate(checkpoint["config"]["head"])
    dataset, videos = open_steps(args, cfg, "testing", args.features_dir, args.external)
    refuse_other_classes(Path(args.checkpoint), checkpoint, dataset.classes)
    if features_made(videos) != checkpoint["config"]["features_made"]:
        raise StageError(
            f"the features in {args.features_dir} were not made as those that"
            f" {args.checkpoint} was trained on; extract them again, or train it again"
        )
    model = build_head(cfg.network, videos.features.width, len(dataset.classes))
    model.load_state_dict(epochs[args.epoch]["weights"])
    model.to(device).eval()

    def rows() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        with Progress(len(videos.records), "predict", "video") as bar:
            for record in videos.records:
                logits = predict_steps(
                    model, videos.features, cfg.window, record.video_id, device
                )
                yield record.video_id, logits.T.numpy(), videos.times_s(record)
                bar.advance(1)

    parents = {f"features/{path.name}": path for path in videos.features.paths}
    return HeadPredictions(dataset.classes, parents, rows())
