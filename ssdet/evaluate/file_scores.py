"""Scores of a file of frame-wise scores, by every protocol that applies to it.

predictions
    Logits over time (HDF5 of the stage `predict`): dense_map, step_map, map_25 and
    map_25_weighted (`ranking.py`). With videos missing, the first two leave them out
    and the others rank them last, as the official script does.
submission
    Scores at the 25 official instants (text of the Charades challenge): map_25 and
    map_25_weighted, ranked in the order of the annotation file.

Files of segments: `segment_file.py`. Source: heads_and_evaluation, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssdet.data.annotations import Dataset
from ssdet.data.frame_labels import INSTANTS, instant_labels
from ssdet.data.interpolate import Stream
from ssdet.data.predictions import Predictions
from ssdet.evaluate.coverage import Coverage, coverage
from ssdet.evaluate.members import refuse_other_classes
from ssdet.evaluate.protocol import EvaluatedVideo, Lost
from ssdet.evaluate.ranked_rows import Scores
from ssdet.evaluate.ranking import (
    dense_scores,
    instant_scores,
    metrics_of,
    step_scores,
)
from ssdet.evaluate.submission import read_submission
from ssdet.metrics import (
    average_precision,
    mean_over_present,
    positives,
    weighted_mean_over_present,
)
from ssdet.stage import StageError

Kind = Literal["predictions", "submission", "detections"]
# Whose numbers are never given at 25 instants.
WITHOUT_INSTANTS = ("multithumos", "activitynet", "thumos14")


@dataclass(frozen=True)
class FileScores:
    """What a file scores.

    Attributes:
        metrics: plain JSON types, null where there is no value.
        covered: which test videos the file covers.
        rows: how many rows each protocol ranked, or segments it looked for.
    """

    metrics: dict[str, Any]
    covered: Coverage
    rows: dict[str, int]


def kind_of(path: Path) -> Kind:
    """What a file is, by its first bytes.

    Raises:
        StageError: there is no such file.
    """
    if not path.is_file():
        raise StageError(f"no file {path}")
    with open(path, "rb") as file:
        head = file.read(64)
    if head.startswith(b"\x89HDF"):
        return "predictions"
    return "detections" if head.lstrip()[:1] in (b"{", b"[") else "submission"


def score_predictions(
    path: Path,
    dataset: Dataset,
    videos: Sequence[EvaluatedVideo],
    lost: Sequence[Lost],
    instants: bool,
    threads: int = 1,
) -> FileScores:
    """Score logits over time.

    Args:
        path: file of the stage `predict`.
        dataset: annotations, as written.
        videos: test videos whose clock is known.
        lost: the other test videos.
        instants: whether the 25 instants apply.
        threads: classes ranked at once; changes no value.

    Raises:
        StageError: the file is of another data set or other classes, or has no test
            video.
    """
    index = dataset.class_index
    with Predictions(path) as predictions:
        refuse_other_classes(predictions, dataset)
        expected = [record.video_id for record in dataset.of("testing")]
        known = [video for video in videos if video.video_id in predictions]
        unknown = set(predictions.video_ids) - set(expected)
        covered = coverage(expected, [*(v.video_id for v in known), *unknown])
        if not known:
            raise StageError(f"{path} has no test video of {dataset.name}")
        streams = {v.video_id: [Stream(*predictions[v.video_id])] for v in known}
    absent = [
        Lost(v.video_id, "not predicted", "", v.segments, v.timeline.duration_s)
        for v in videos
        if v.video_id not in streams
    ]
    dense = dense_scores(known, streams, index, threads)
    steps = step_scores(known, streams, index, threads)
    at_instants = Scores(np.full(len(index), np.nan), np.zeros(len(index), int), 0)
    if instants:
        gone = [*absent, *lost]
        at_instants = instant_scores(known, gone, streams, index, threads)
    metrics = metrics_of(dense, at_instants, dataset.classes)
    metrics["step_map"] = _number(mean_over_present(steps.ap))
    metrics["chance"]["step_map"] = _number(mean_over_present(steps.chance))
    rows = {"dense_map": dense.rows, "step_map": steps.rows, "map_25": at_instants.rows}
    return FileScores(metrics, covered, rows)


def score_submission(path: Path, dataset: Dataset, threads: int = 1) -> FileScores:
    """Score the 25 instants of every test video.

    Args:
        path: text of the Charades challenge.
        dataset: annotations, as written.
        threads: classes ranked at once; changes no value.

    Raises:
        StageError: an annotation does not state how long its video is.
        ValueError: a line cannot be read; the first few are named.
    """
    records = dataset.of("testing")
    unstated = [record.video_id for record in records if record.duration_s is None]
    if unstated:
        raise StageError(
            f"the annotations of {dataset.name} do not say how long {unstated[0]} and"
            f" {len(unstated) - 1} other videos are, so their instants are not known"
        )
    video_ids = [record.video_id for record in records]
    found = read_submission(path, video_ids, len(dataset.classes))
    given = found.given.any(axis=1)
    covered = coverage(
        video_ids,
        [*np.array(video_ids)[given], *found.unknown],
        instants_of_the_other_videos_have_no_line=int((~found.given[given]).sum()),
        lines_have_a_number_outside_the_instants=found.outside,
        lines_are_repeated_later=found.repeated,
    )
    labels = [
        instant_labels(record.segments, dataset.class_index, record.duration_s or 0.0)
        for record in records
    ]
    shown = np.concatenate(labels, axis=1).T
    scores = found.scores.reshape(-1, len(dataset.classes))
    instants = Scores(
        average_precision(scores, shown, threads=threads), positives(shown), len(shown)
    )
    metrics = {
        **_instant_means(instants.ap, instants),
        "chance": _instant_means(instants.chance, instants),
        "per_class": [
            {
                "class": name,
                "ap_25": _number(instants.ap[k]),
                "positives_25": int(instants.positives[k]),
                "chance_25": _number(instants.chance[k]),
            }
            for k, name in enumerate(dataset.classes)
        ],
    }
    return FileScores(metrics, covered, {"map_25": len(records) * INSTANTS})


def _instant_means(ap: Any, instants: Scores) -> dict[str, float | None]:
    weighted = weighted_mean_over_present(ap, instants.positives)
    return {
        "map_25": _number(mean_over_present(ap)),
        "map_25_weighted": _number(weighted),
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
