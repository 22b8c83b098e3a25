"""Scores of a file of detected segments, by the tIoU of ActivityNet and of THUMOS14.

Segments of unknown videos are false detections, as officially; labels that are not
annotated in any video are left out and counted.

Source: spec of SPOT, section 10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ssdet.data.annotations import Dataset, Segment
from ssdet.evaluate.coverage import coverage
from ssdet.evaluate.detections import read_detections, repeated, under_our_ids
from ssdet.evaluate.file_scores import FileScores
from ssdet.evaluate.segment_ap import THRESHOLDS, segment_scores, whole_videos


def score_detections(
    path: Path, dataset: Dataset, durations_s: Mapping[str, float]
) -> FileScores:
    """Score detected segments.

    Args:
        path: JSON of the ActivityNet challenge, or of THUMOS14 in its form.
        dataset: annotations, as written.
        durations_s: of the test videos, as far as known.

    Raises:
        ValueError: a detection is impossible; the first few are named.
    """
    records = dataset.of("testing")
    truth = {record.video_id: record.segments for record in records}
    found = under_our_ids(read_detections(path), list(truth))
    labels = {d.label for detections in found.values() for d in detections}
    covered = coverage(
        list(truth),
        found,
        detections_repeat_an_earlier_one=sum(repeated(found).values()),
        labels_are_no_classes_of_the_data_set=len(labels - set(dataset.classes)),
    )
    measured = {name: segment_scores(truth, found, t) for name, t in THRESHOLDS.items()}
    some = measured["activitynet"]
    metrics: dict[str, Any] = {
        "segment_map": {
            name: {
                "tiou": [round(float(t), 2) for t in scores.thresholds],
                "map": scores.map.tolist(),
                "average_map": float(scores.map.mean()),
                "recall": scores.recall.tolist(),
            }
            for name, scores in measured.items()
        },
        "whole_videos": _whole_videos(truth, durations_s),
        "per_class": [
            {
                "class": name,
                "instances": int(some.instances[k]),
                **{key: float(s.ap[:, k].mean()) for key, s in measured.items()},
            }
            for k, name in enumerate(some.classes)
        ],
        "ignored_detections": some.ignored,
    }
    return FileScores(metrics, covered, {"segment_map": int(some.instances.sum())})


def _whole_videos(
    truth: Mapping[str, Sequence[Segment]], durations_s: Mapping[str, float]
) -> dict[str, float] | None:
    """Average mAP of one who never looks when; None if a duration is not known."""
    shown = [video_id for video_id, segments in truth.items() if segments]
    if any(video_id not in durations_s for video_id in shown):
        return None
    blind = whole_videos({name: truth[name] for name in shown}, durations_s)
    score = partial(segment_scores, truth, blind)
    return {name: float(score(t).map.mean()) for name, t in THRESHOLDS.items()}
