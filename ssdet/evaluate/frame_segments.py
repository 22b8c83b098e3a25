"""Segments from probabilities over time: stretches that reach a threshold."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ssdet.evaluate.detections import Detection

COLUMNS = ("video_id", "start_s", "end_s", "label", "score")


def segments_above(
    probabilities: npt.NDArray[np.floating],
    times_s: npt.NDArray[np.float64],
    duration_s: float,
    classes: Sequence[str],
    threshold: float,
) -> list[Detection]:
    """The longest stretches of each class in which every row reaches the threshold.

    A row stands for the time up to the middle between it and its neighbours, the first
    and the last one up to the ends of the video. The score is the mean of the rows.

    Args:
        probabilities: (T, K) in [0, 1].
        times_s: (T,), rising.
        duration_s: of the video.
        classes: names of the K classes.
        threshold: in [0, 1].

    Returns:
        By start, then by class.
    """
    middles = (times_s[1:] + times_s[:-1]) / 2
    edges = np.concatenate([[0.0], middles, [duration_s]]).clip(0.0, duration_s)
    found = []
    for name, row in zip(classes, probabilities.T, strict=True):
        inside = np.concatenate([[False], row >= threshold, [False]])
        borders = np.flatnonzero(inside[1:] != inside[:-1]).reshape(-1, 2)
        for first, last in borders.tolist():
            start_s, end_s = float(edges[first]), float(edges[last])
            if start_s < end_s:
                score = float(row[first:last].mean())
                found.append(Detection(start_s, end_s, name, score))
    return sorted(found, key=lambda segment: segment.start_s)


def as_table(videos: Mapping[str, Sequence[Detection]]) -> str:
    """The segments as csv, a form of labels too: COLUMNS, times in seconds.

    A video without segments has a row with nothing but its name.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for video_id, segments in sorted(videos.items()):
        for one in segments:
            times = f"{one.start_s:.3f}", f"{one.end_s:.3f}"
            writer.writerow((video_id, *times, one.label, f"{one.score:.4f}"))
        if not segments:
            writer.writerow((video_id, "", "", "", ""))
    return text.getvalue()
