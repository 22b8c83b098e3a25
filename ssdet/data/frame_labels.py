"""Labels of frames and of the official instants, from annotated segments.

Source: heads_and_evaluation, sections 1 (strict rule) and 4.3 (25 instants).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ssdet.data.annotations import Segment

Labels = npt.NDArray[np.uint8]
INSTANTS = 25


def frame_labels(
    segments: Sequence[Segment], classes: Mapping[str, int], frames: int, fps: float
) -> Labels:
    """Label the frames (or feature rows) of a video.

    Frame f, which stands for the time f / fps, shows a class if some segment of the
    class has start < f / fps < end, both strict and in double precision: the first
    frame is never positive and a segment that ends where it starts labels nothing.

    Args:
        segments: actions of the video, in seconds.
        classes: row of each of the K classes (`Dataset.class_index`).
        frames: number of frames.
        fps: frames per second, frames / duration.

    Returns:
        (K, frames), 0 or 1.

    Raises:
        ValueError: a segment's label is not one of `classes`.
    """
    return labels_at(segments, classes, np.arange(frames) / fps)


def labels_at(
    segments: Sequence[Segment],
    classes: Mapping[str, int],
    times_s: npt.NDArray[np.float64],
) -> Labels:
    """Label rising times (N,) by the strict rule of `frame_labels`: (K, N), 0 or 1.

    Raises:
        ValueError: a segment's label is not one of `classes`.
    """
    return _mark(segments, classes, times_s, strict=True)


def official_instants(
    length_s: float, count: int = INSTANTS
) -> npt.NDArray[np.float64]:
    """Times (count,) at which the Charades challenge asks for scores.

    The order of operations matters: (j / 25) * length. The other, j * length / 25,
    differs in the last bit here and there, and annotations often end exactly at such a
    time: 12 labels of the test set change.

    Args:
        length_s: duration of the video, by its annotation.
        count: number of instants.
    """
    return np.arange(count) / count * length_s


def instant_labels(
    segments: Sequence[Segment], classes: Mapping[str, int], length_s: float
) -> Labels:
    """Label the 25 official instants of a video: start <= t <= end, both inclusive.

    Args:
        segments: actions of the video, in seconds.
        classes: row of each of the K classes (`Dataset.class_index`).
        length_s: duration of the video, by its annotation.

    Returns:
        (K, 25), 0 or 1.

    Raises:
        ValueError: a segment's label is not one of `classes`.
    """
    return _mark(segments, classes, official_instants(length_s), strict=False)


def _mark(
    segments: Sequence[Segment],
    classes: Mapping[str, int],
    times_s: npt.NDArray[np.float64],
    strict: bool,
) -> Labels:
    unknown = sorted({segment.label for segment in segments} - classes.keys())
    if unknown:
        raise ValueError(
            f"segments have labels that are not among the {len(classes)} classes:"
            f" {', '.join(unknown)}"
        )
    begins, ends = [s.start_s for s in segments], [s.end_s for s in segments]
    starts = np.searchsorted(times_s, begins, "right" if strict else "left")
    stops = np.searchsorted(times_s, ends, "left" if strict else "right")
    labels = np.zeros((len(classes), len(times_s)), dtype=np.uint8)
    for segment, start, stop in zip(segments, starts, stops, strict=True):
        labels[classes[segment.label], start:stop] = 1
    return labels
