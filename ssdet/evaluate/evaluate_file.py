"""Score one file, whatever its kind: what `ssdet evaluate` does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ssdet.config import DatasetConfig
from ssdet.data.annotations import Dataset, check_expected, read_dataset
from ssdet.data.inventory import InventoryRow, read_inventory
from ssdet.data.sampling import Timeline, frames_in
from ssdet.evaluate.coverage import refuse_incomplete
from ssdet.evaluate.file_scores import (
    WITHOUT_INSTANTS,
    FileScores,
    kind_of,
    score_predictions,
    score_submission,
)
from ssdet.evaluate.protocol import EvaluatedVideo, Lost, evaluated_videos
from ssdet.evaluate.segment_file import score_detections
from ssdet.files import write_text
from ssdet.provenance import block, now
from ssdet.stage import StageError

REVISION = 1


def evaluate_file(
    path: Path,
    name: str,
    section: DatasetConfig,
    inventory: Path | None,
    incomplete: bool,
    threads: int,
    out: Path | None,
) -> dict[str, Any]:
    """Score a file by every protocol that applies to it.

    Args:
        path: predictions or a submission (`file_scores.py`), or detections
            (`segment_file.py`).
        name: of the data set.
        section: of the data set in the config.
        inventory: of its videos; None: frames are counted by the annotated durations.
        incomplete: accept a file that does not cover the test set.
        threads: classes ranked at once; changes no value.
        out: also write the result there, as JSON, with its provenance.

    Returns:
        The result: plain JSON types.

    Raises:
        ValueError: the file, the annotations or the inventory cannot be used.
    """
    started = now()
    kind = kind_of(path)
    files = section.annotations
    dataset = read_dataset(
        name,
        section.without_paths(),
        Path(files.training),
        Path(files.testing),
        Path(files.classes) if files.classes else None,
        as_written=True,
    )
    check_expected(dataset, section.expected)
    rows = None if inventory is None else read_inventory(inventory)
    if kind == "submission":
        scores = score_submission(path, dataset, threads)
    elif kind == "detections":
        scores = score_detections(path, dataset, _durations(dataset, rows))
    else:
        scores = _predictions(path, dataset, section, rows, threads)
    if not incomplete:
        refuse_incomplete(path, scores.covered, name)
    result = {
        "dataset": name,
        "file": str(path),
        "kind": kind,
        "metrics": scores.metrics,
        "rows": scores.rows,
        "videos": scores.covered.as_json(),
        "incomplete": scores.covered.complaints,
    }
    if out is not None:
        parents = {f"labels/{key}": p for key, p in files.model_dump().items() if p}
        parents["file"] = path
        if inventory is not None:
            parents["inventory"] = inventory
        recipe = {"dataset": section.without_paths()}
        whole = {
            **result,
            "provenance": block("evaluate", REVISION, recipe, parents, started),
        }
        text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
        write_text(out, text + "\n")
    return result


def _predictions(
    path: Path,
    dataset: Dataset,
    section: DatasetConfig,
    inventory: list[InventoryRow] | None,
    threads: int,
) -> FileScores:
    lost: list[Lost] = []
    if inventory is None:
        videos = _by_duration(dataset, section.fps)
    else:
        videos, lost = evaluated_videos(dataset, inventory, section.fps)
    instants = section.format not in WITHOUT_INSTANTS
    return score_predictions(path, dataset, videos, lost, instants, threads)


def _by_duration(dataset: Dataset, fps: float | None) -> list[EvaluatedVideo]:
    """The test videos, with as many frames as their durations give."""
    videos = []
    for record in dataset.of("testing"):
        if record.duration_s is None or fps is None:
            raise StageError(
                f"how many frames {record.video_id} has is not known: its annotation"
                f" states a duration of {record.duration_s} s, and"
                f" datasets.{dataset.name}.fps is {fps}. Run the rule inventory, or"
                " give --inventory"
            )
        clock = Timeline(frames_in(record.duration_s, fps), record.duration_s, 1)
        videos.append(EvaluatedVideo(record.video_id, record.segments, clock))
    return videos


def _durations(
    dataset: Dataset, inventory: list[InventoryRow] | None
) -> dict[str, float]:
    """Seconds of the test videos, by the annotation where it says so."""
    seen = {row.video_id: row.duration_s for row in inventory or [] if row.frames}
    stated = {
        record.video_id: record.duration_s
        for record in dataset.of("testing")
        if record.duration_s is not None
    }
    return {**seen, **stated}
