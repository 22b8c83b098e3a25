"""What clips show over time, for pretraining on videos of several actions.

Training takes labels that SPOT made; what is right on test clips is what people marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ssdet.augment.soft_labels import label_rows
from ssdet.data.annotations import VideoRecord
from ssdet.data.clips import Item
from ssdet.data.frame_label_file import FrameLabels
from ssdet.data.frame_labels import frame_labels
from ssdet.stage import StageError
from ssdet.train.setup import Videos

SHOWN = 20  # names in a message


def open_frame_labels(path: Path, videos: Videos) -> FrameLabels:
    """Read labels over time, and see that they are of these videos.

    Raises:
        StageError: classes differ, or training videos are missing; they are named.
        ValueError: the file cannot be read.
    """
    labels = FrameLabels(path)
    name, classes = videos.dataset.name, videos.dataset.classes
    if labels.classes != classes:
        others = sorted(set(labels.classes) ^ set(classes))
        what = f"only one has {_listed(others)}" if others else "their order differs"
        raise StageError(
            f"{path} (pretrain.frame_labels) has other classes"
            f" ({len(labels.classes)}) than {name} ({len(classes)}): {what}. Make it of"
            f" {name}"
        )
    missing = [r.video_id for r in videos.of("training") if r.video_id not in labels]
    if missing:
        raise StageError(
            f"{path} (pretrain.frame_labels) lacks {len(missing)} of"
            f" {len(videos.of('training'))} training videos of {name}:"
            f" {_listed(missing)}. Give SPOT their features, or list them in"
            " data.exclude"
        )
    return labels


def clip_labels(
    labels: FrameLabels,
    videos: Videos,
    record: VideoRecord,
    frames: Sequence[int],
    background: bool,
) -> Item:
    """Targets of a clip.

    Args:
        labels: of its video.
        videos: the data set.
        record: the video.
        frames: source frames of the clip (T,).
        background: whether frames that show nothing are of class 0.

    Returns:
        labels and weights (M, T), of `label_rows`.
    """
    clock = videos.timeline(record, stride=1)
    times_s = [clock.seconds_of_frame(frame) for frame in frames]
    shown = torch.from_numpy(labels.at(record.video_id, times_s))
    classes, weights = label_rows(shown, background)
    return {"labels": classes, "weights": weights}


def annotated_classes(
    videos: Videos, record: VideoRecord, windows: Sequence[Sequence[int]]
) -> Tensor:
    """Which classes each of some clips shows, by the annotation: (clips, K) bool."""
    clock = videos.timeline(record, stride=1)
    index = videos.dataset.class_index
    marked = frame_labels(record.segments, index, clock.frames, clock.fps)
    return torch.from_numpy(
        np.stack([marked[:, list(window)].any(axis=1) for window in windows])
    )


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
