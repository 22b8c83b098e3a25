"""Average precision of detected segments, as the ActivityNet challenge computes it.

The detections of a class in all videos are ranked by falling score. Each takes, of the
annotated segments of its class and video that are still free, the one it overlaps most,
if their tIoU reaches the threshold; otherwise it is a false detection. Precision never
falls towards better ranks; AP is its mean over the annotated segments.

Source: Caba Heilbron et al., CVPR 2015, `eval_detection.py` of the ActivityNet toolkit;
spec of SPOT, section 10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ssdet.data.annotations import Segment
from ssdet.evaluate.detections import Detection
from ssdet.evaluate.segment_overlap import overlap

Array = npt.NDArray[Any]
Labelled = TypeVar("Labelled", Segment, Detection)

# Thresholds in double precision as the official programs make them: an overlap of
# exactly 0.9 reaches the ninth of ActivityNet's, which is a little less.
THRESHOLDS: dict[str, npt.NDArray[np.float64]] = {
    "activitynet": np.linspace(0.5, 0.95, 10),
    "thumos14": np.linspace(0.3, 0.7, 5),
}
MOST = 100  # detections of a video that its recall is measured with


@dataclass(frozen=True)
class SegmentScores:
    """What the protocol gives.

    Attributes:
        thresholds: (T,), of tIoU.
        classes: the K classes that are annotated at all, sorted.
        ap: (T, K).
        instances: (K,), annotated segments.
        recall: (T,), share of the annotated segments that the 100 best detections of
            each video find.
        ignored: detections of classes that are not annotated in any video.
    """

    thresholds: npt.NDArray[np.float64]
    classes: tuple[str, ...]
    ap: npt.NDArray[np.float64]
    instances: npt.NDArray[np.int64]
    recall: npt.NDArray[np.float64]
    ignored: int

    @property
    def map(self) -> npt.NDArray[np.float64]:
        """Mean over the classes, (T,)."""
        return np.asarray(self.ap.mean(axis=1))


def segment_scores(
    truth: Mapping[str, Sequence[Segment]],
    found: Mapping[str, Sequence[Detection]],
    thresholds: npt.NDArray[np.float64],
) -> SegmentScores:
    """Average precision of each annotated class at each threshold.

    Args:
        truth: annotated segments of every video that counts.
        found: detections of each video; those of a video that `truth` lacks are false.
            Equal scores: the earlier video of `found`, then the earlier detection.
        thresholds: (T,), of tIoU, above 0.

    Raises:
        ValueError: no segment is annotated.
    """
    classes = sorted({segment.label for video in truth.values() for segment in video})
    if not classes:
        raise ValueError("no segment is annotated, so there is nothing to detect")
    instances, annotated = _by_class(truth), _by_class(found)
    ap = [
        _average_precision(instances[name], annotated.get(name, {}), thresholds)
        for name in classes
    ]
    counts = np.array([sum(map(len, instances[name].values())) for name in classes])
    best = _by_class({name: _best(of_video) for name, of_video in found.items()})
    hits = [
        _hits(instances[name], best.get(name, {}), thresholds)[0].sum(axis=1)
        for name in classes
    ]
    return SegmentScores(
        thresholds,
        tuple(classes),
        np.stack(ap, axis=1),
        counts,
        np.sum(hits, axis=0) / counts.sum(),
        sum(d.label not in instances for video in found.values() for d in video),
    )


def whole_videos(
    truth: Mapping[str, Sequence[Segment]], durations_s: Mapping[str, float]
) -> dict[str, list[Detection]]:
    """Detections of one who knows what happens in a video and never looks when.

    One for each video and annotated class, from start to end, all with the same score:
    a baseline that a detector must leave behind.
    """
    return {
        video_id: [
            Detection(0.0, durations_s[video_id], label, 1.0)
            for label in sorted({segment.label for segment in segments})
        ]
        for video_id, segments in truth.items()
    }


def _average_precision(
    truth: Mapping[str, Sequence[Segment]],
    found: Mapping[str, Sequence[Detection]],
    thresholds: Array,
) -> Array:
    """AP (T,) of one class, whose segments and detections these are."""
    hit, scores = _hits(truth, found, thresholds)
    hit = hit[:, np.argsort(-scores, kind="stable")]
    precision = hit.cumsum(axis=1) / np.arange(1, len(scores) + 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((best * hit).sum(axis=1) / sum(map(len, truth.values())))


def _hits(
    truth: Mapping[str, Sequence[Segment]],
    found: Mapping[str, Sequence[Detection]],
    thresholds: Array,
) -> tuple[Array, Array]:
    """Whether each detection of a class finds a segment (T, D), and its score (D,)."""
    hits, scores = [np.zeros((len(thresholds), 0), dtype=np.bool_)], [np.empty(0)]
    for video_id, detections in found.items():
        of_video = np.array([detection.score for detection in detections])
        hit = np.zeros((len(thresholds), len(detections)), dtype=np.bool_)
        if video_id in truth:
            order = np.argsort(-of_video, kind="stable")
            spans = [(d.start_s, d.end_s) for d in detections]
            targets = [(s.start_s, s.end_s) for s in truth[video_id]]
            hit[:, order] = _matched(overlap(spans, targets)[order], thresholds)
        hits.append(hit)
        scores.append(of_video)
    return np.concatenate(hits, axis=1), np.concatenate(scores)


def _matched(tiou: Array, thresholds: Array) -> Array:
    """Whether each of D detections, best first, takes one of G segments: (T, D).

    Of segments that are overlapped equally the last is taken, as officially.
    """
    free = np.ones((len(thresholds), tiou.shape[1]), dtype=np.bool_)
    hit = np.zeros((len(thresholds), len(tiou)), dtype=np.bool_)
    for number in np.flatnonzero(tiou.max(axis=1) >= thresholds.min()):
        takes = free & (tiou[number] >= thresholds[:, None])  # (T, G)
        hit[:, number] = takes.any(axis=1)
        best = np.where(takes, tiou[number], -1.0)[:, ::-1].argmax(axis=1)
        chosen = tiou.shape[1] - 1 - best
        rows = np.flatnonzero(hit[:, number])
        free[rows, chosen[rows]] = False
    return hit


def _by_class(
    videos: Mapping[str, Sequence[Labelled]],
) -> dict[str, dict[str, list[Labelled]]]:
    """Class -> video -> what is in it, in the given order."""
    classes: dict[str, dict[str, list[Labelled]]] = {}
    for video_id, items in videos.items():
        for item in items:
            classes.setdefault(item.label, {}).setdefault(video_id, []).append(item)
    return classes


def _best(detections: Sequence[Detection]) -> list[Detection]:
    return sorted(detections, key=lambda detection: -detection.score)[:MOST]
