"""Per-frame mAP on the videos set aside from training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from ssdet.data.frame_labels import frame_labels
from ssdet.data.interpolate import interpolate
from ssdet.metrics import average_precision, mean_over_present
from ssdet.train.detection import DetectionSet
from ssdet.train.distributed import World

# (network, its video, the video's clock) -> logits (T, K) and their times (T,)
Predictor = Callable[..., tuple[np.ndarray, np.ndarray]]


def validation_map(
    predict: Predictor, data: DetectionSet, world: World, network: nn.Module
) -> dict[str, float]:
    """Dense mAP over whole held-out videos, classes without positives left out.

    Args:
        predict: (network, record, its timeline) -> logits (T, K), their times (T,).
        data: its videos set aside are scored, a share of them in each process.
        world: this process among the others.
        network: in evaluation mode.

    Returns:
        `val_map` in 0..1, to the leader; nothing to the others, or if no frame of the
        videos shows an action.
    """
    found = []
    for record in world.share(data.held):
        timeline = data.videos.timeline(record, data.stride)
        logits, times = predict(network, record, timeline)
        frames = np.arange(timeline.frames) / timeline.fps
        labels = frame_labels(
            record.segments,
            data.videos.dataset.class_index,
            timeline.frames,
            timeline.fps,
        ).T
        found.append((interpolate(logits, times, frames), labels))
    found = world.gather(found)
    if not any(labels.any() for _, labels in found):
        return {}
    scores, labels = (np.concatenate(part) for part in zip(*found, strict=True))
    ap = average_precision(scores, labels, threads=torch.get_num_threads())
    return {"val_map": mean_over_present(ap)}
