"""Detected segments, and the JSON file of the ActivityNet challenge, both ways.

    {"version": ..., "external_data": {...},
     "results": {video: [{"label": ..., "score": ..., "segment": [start, end]}, ...]}}

Times are seconds. THUMOS14 is evaluated on the same form.

Source: ActivityNet challenge, detection task; spec of SPOT, section 10.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssdet.files import write_text
from ssdet.sealed_json import opened, sealed
from ssdet.texts import parse_json

SHOWN = 5  # bad entries named in a message
VERSION = "VERSION 1.3"  # what the official reader asks for


@dataclass(frozen=True, slots=True)
class Detection:
    """One detected action; a higher score is surer."""

    start_s: float
    end_s: float
    label: str
    score: float


def write_detections(
    path: str | Path,
    videos: Mapping[str, Sequence[Detection]],
    external_data: Mapping[str, Any],
) -> None:
    """Write the detections of all videos, the best of each first.

    Args:
        path: the JSON file; written whole or not at all.
        videos: of every evaluated video, an empty list if nothing was detected. The
            official file names videos without v_, see `official_ids`.
        external_data: what beside the challenge's data was used, in the challenge's
            words, e.g. {"used": True, "details": "..."}.

    Raises:
        ValueError: a detection is not possible; the first few are named.
    """
    bad = [
        f"{video_id}: {problem}"
        for video_id, detections in videos.items()
        for problem in map(_wrong, detections)
        if problem
    ]
    _refuse(f"cannot write {path}", bad)
    results = {
        video_id: [
            {"label": d.label, "score": d.score, "segment": [d.start_s, d.end_s]}
            for d in sorted(detections, key=lambda d: -d.score)
        ]
        for video_id, detections in sorted(videos.items())
    }
    content = {
        "version": VERSION,
        "external_data": dict(external_data),
        "results": results,
    }
    write_text(Path(path), json.dumps(sealed(content), allow_nan=False) + "\n")


def read_detections(path: str | Path) -> dict[str, list[Detection]]:
    """Read the detections of each video, in the file's order.

    Raises:
        ValueError: the file is not of this form, or has impossible detections; the
            first few are named.
    """
    content = read_file(path)
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict):
        raise ValueError(
            f"{path} is not a file of detections; expected a JSON object whose"
            ' "results" give a list of detections for each video'
        )
    videos: dict[str, list[Detection]] = {}
    bad = []
    for video_id, entries in results.items():
        if not isinstance(entries, list):
            bad.append(f"{video_id}: should be a list of detections")
            continue
        videos[video_id] = []
        for number, entry in enumerate(entries, start=1):
            detection, problem = _parsed(entry)
            if detection is not None:
                videos[video_id].append(detection)
            else:
                bad.append(f"{video_id}, detection {number}: {problem}")
    _refuse(str(path), bad)
    return videos


def official_ids(video_ids: Sequence[str]) -> dict[str, str]:
    """The challenge's name of each video: without v_, if all have it."""
    prefixed = all(video_id.startswith("v_") for video_id in video_ids)
    return {v: v.removeprefix("v_") if prefixed else v for v in video_ids}


def under_our_ids(
    videos: Mapping[str, list[Detection]], video_ids: Sequence[str]
) -> dict[str, list[Detection]]:
    """The same detections under the annotations' ids, whichever form the file has."""
    ours = {official: own for own, official in official_ids(video_ids).items()}
    ours |= {own: own for own in video_ids}
    return {ours.get(name, name): detections for name, detections in videos.items()}


def repeated(videos: Mapping[str, Sequence[Detection]]) -> dict[str, int]:
    """How many detections of a video are there already; videos without any left out."""
    counts = {name: len(items) - len(set(items)) for name, items in videos.items()}
    return {name: count for name, count in counts.items() if count}


def _parsed(entry: object) -> tuple[Detection | None, str]:
    try:
        if not isinstance(entry, dict):
            raise TypeError
        start, end = entry["segment"]
        label, score = entry["label"], entry["score"]
        if not isinstance(label, str) or isinstance(score, str | bool):
            raise TypeError
        detection = Detection(float(start), float(end), label, float(score))
    except (KeyError, TypeError, ValueError, OverflowError):
        shown = json.dumps(entry)
        return None, (
            f"{shown if len(shown) < 80 else shown[:80] + '...'} should hold label,"
            " score and segment [start, end]"
        )
    problem = _wrong(detection)
    return (None, problem) if problem else (detection, "")


def _wrong(detection: Detection) -> str:
    """What makes a detection impossible; nothing if it is possible."""
    if not math.isfinite(detection.score):
        return f"the score is {detection.score}"
    if not math.isfinite(detection.start_s) or not math.isfinite(detection.end_s):
        return f"segment {detection.start_s} to {detection.end_s} is not finite"
    if detection.end_s < detection.start_s:
        return f"segment {detection.start_s:g} to {detection.end_s:g} is reversed"
    return ""


def read_file(path: str | Path) -> Any:
    """Read all that a file of detections says, whatever it is.

    Raises:
        ValueError: there is no file, it is no JSON, or it is damaged.
    """
    try:
        content = parse_json(Path(path).read_bytes(), path)
    except FileNotFoundError:
        raise ValueError(f"no file of detections at {path}") from None
    try:
        return opened(content) if isinstance(content, dict) else content
    except ValueError as error:
        raise ValueError(f"{path}: {error}; run detect_spot again") from None


def _refuse(what: str, bad: Sequence[str]) -> None:
    if bad:
        more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise ValueError(f"{what}: {'; '.join(bad[:SHOWN])}{more}")
