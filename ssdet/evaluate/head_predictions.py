"""Logits of every test video, by a temporal head.

Source: spec of the heads, sections 1 and 3.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ssdet.config import HeadConfig
from ssdet.models.heads import build_head
from ssdet.progress import Progress
from ssdet.provenance import Parent
from ssdet.stage import StageError, choose_device
from ssdet.train.checkpoint import load_checkpoint
from ssdet.train.detectors import refuse_other_classes
from ssdet.train.head import features_made
from ssdet.train.head_steps import predict_steps
from ssdet.train.head_videos import open_steps


class Predicted(NamedTuple):
    """What is to be written of a model.

    Attributes:
        classes: names of its outputs.
        device: it ran on.
        parents: what it read besides checkpoint, inventory and labels, by name.
        rows: (video_id, logits (T, K), times_s (T,)) of every test video.
    """

    classes: tuple[str, ...]
    device: torch.device
    parents: dict[str, Parent]
    rows: Iterator[tuple[str, np.ndarray, np.ndarray]]


def head_predictions(args: argparse.Namespace) -> Predicted:
    """Run a head over the test videos; nothing is computed before the rows are read.

    Args:
        args: the command line of `predict`, with a checkpoint of the stage head.

    Raises:
        StageError: the checkpoint has no such epoch, or is of other classes or
            features; or no features are given.
    """
    device = choose_device(args.device)
    checkpoint = load_checkpoint(args.checkpoint)
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

    parents: dict[str, Parent] = {"features": videos.features.as_parent()}
    if paths := videos.features.paths:
        parents = {f"features/{path.name}": path for path in paths}
    return Predicted(dataset.classes, device, parents, rows())
