"""Reads {"database": {video: {subset, duration, annotations: [...]}}}.

The form of the ActivityNet challenge, in which THUMOS14 is passed on too. An annotation
is {segment: [start, end], label}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssdet.data.annotation_formats.raw import RawSegment, RawVideo, Videos
from ssdet.data.annotation_formats.text import duration, json_object, number, split_of


def read_database(
    path: Path,
    text: str,
    problems: list[str],
    left_out: Counter[str],
    withheld: str | None = None,
) -> list[RawVideo]:
    """Read every video with its segments.

    Args:
        path: the file, for messages.
        text: what it holds; the outer {"database": ...} may be absent.
        problems: is added to.
        left_out: counts of what is left out, is added to.
        withheld: a subset whose labels are not published; its videos are left out.
    """
    videos = Videos(problems)
    content = json_object(path, text, problems)
    content = content.get("database", content)
    if not isinstance(content, dict):
        problems.append(f"{path}: database should be an object of videos")
        return []
    for video_id, entry in content.items():
        where = f"{path}: {video_id}"
        if not isinstance(entry, dict) or not isinstance(
            entry.get("annotations"), list
        ):
            problems.append(f"{where}: should hold subset and a list of annotations")
            continue
        if withheld is not None and entry.get("subset") == withheld:
            left_out["withheld"] += 1
            continue
        split = split_of(entry, where, problems, "subset")
        duration_s = _stated(entry, where, problems)
        video = videos.new(RawVideo(video_id, where, split, duration_s))
        for count, annotation in enumerate(entry["annotations"], start=1):
            segment = _segment(annotation, f"{where}, annotation {count}", problems)
            if segment is not None:
                video.segments.append(segment)
    return videos.all


def _stated(entry: Mapping[str, Any], where: str, problems: list[str]) -> float | None:
    for key in ("duration", "duration_second"):
        if key in entry:
            return duration(entry[key], f"{where}: {key}", problems)
    return None


def _segment(annotation: object, place: str, problems: list[str]) -> RawSegment | None:
    times = annotation.get("segment") if isinstance(annotation, dict) else None
    if (
        not isinstance(annotation, dict)
        or not isinstance(times, list)
        or len(times) != 2
        or not isinstance(annotation.get("label"), str)
    ):
        problems.append(
            f"{place}: {annotation!r} should hold segment: [start, end] and label"
        )
        return None
    start_s = number(times[0], f"{place}: start", problems)
    end_s = number(times[1], f"{place}: end", problems)
    if start_s is None or end_s is None:
        return None
    return RawSegment(start_s, end_s, annotation["label"], place)
