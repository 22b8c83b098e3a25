"""Per-frame mAP on the videos set aside from training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ssdet.data.annotations import VideoRecord
from ssdet.data.frame_labels import frame_labels
from ssdet.data.interpolate import interpolate
from ssdet.data.sampling import Timeline
from ssdet.metrics import average_precision, mean_over_present
from ssdet.train.setup import Videos

Predictor = Callable[[VideoRecord, Timeline], tuple[np.ndarray, np.ndarray]]


def validation_map(
    predict: Predictor, videos: Videos, records: Sequence[VideoRecord], stride: int
) -> dict[str, float]:
    """Dense mAP over whole held-out videos, classes without positives left out.

    Args:
        predict: (record, its timeline) -> logits (T, K) and their times (T,).
        videos: the data set with its frames.
        records: videos to score; none gives no number.
        stride: source frames between sampled frames.

    Returns:
        `val_map` in 0..1; nothing if no frame of the videos shows an action.
    """
    if not records:
        return {}
    scores, labels = [], []
    for record in records:
        timeline = videos.timeline(record, stride)
        logits, times = predict(record, timeline)
        frames = np.arange(timeline.frames) / timeline.fps
        scores.append(interpolate(logits, times, frames))
        labels.append(
            frame_labels(
                record.segments,
                videos.dataset.class_index,
                timeline.frames,
                timeline.fps,
            ).T
        )
    shown = np.concatenate(labels)
    if not shown.any():
        return {}
    return {
        "val_map": mean_over_present(average_precision(np.concatenate(scores), shown))
    }
