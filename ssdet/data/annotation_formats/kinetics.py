"""Reads the label files of Kinetics: one action for each clip.

A clip's file is called <youtube_id>_<start, 6 digits>_<end, 6 digits>; a folder of its
frames may be called <youtube_id>.

Source: spec of SSDet, section 2 (layout of the frames, JSON form).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ssdet.data.annotation_formats.raw import RawSegment, RawVideo, Videos
from ssdet.data.annotation_formats.text import (
    is_json,
    json_object,
    number,
    read_text,
    rows,
    split_of,
)


def read_kinetics(
    path: Path, problems: list[str], left_out: Counter[str]
) -> list[RawVideo]:
    """Read either published form.

    csv: label,youtube_id,time_start,time_end[,split,...], one row for each clip.
    JSON: {youtube_id: {subset, annotations: {label, segment: [start, end]}}}; videos
    without annotations (of the withheld test set) are left out and counted.

    Args:
        path: the file.
        problems: is added to.
        left_out: counts of what is left out, is added to.
    """
    text = read_text(path)
    videos = Videos(problems)
    if is_json(text):
        _read_json(path, text, videos, problems, left_out)
    else:
        _read_csv(path, text, videos, problems)
    return videos.all


def _read_csv(path: Path, text: str, videos: Videos, problems: list[str]) -> None:
    columns = ("label", "youtube_id", "time_start", "time_end")
    for where, row in rows(path, text, columns, problems):
        split = split_of(row, where, problems)
        start_s = number(row["time_start"], f"{where}: time_start", problems)
        end_s = number(row["time_end"], f"{where}: time_end", problems)
        if start_s is not None and end_s is not None:
            clip = _clip(row["youtube_id"], start_s, end_s, where, problems)
            _add(videos, clip, row["label"], split, end_s - start_s, where)


def _read_json(
    path: Path,
    text: str,
    videos: Videos,
    problems: list[str],
    left_out: Counter[str],
) -> None:
    for youtube_id, entry in json_object(path, text, problems).items():
        where = f"{path}: {youtube_id}"
        labels = entry.get("annotations") if isinstance(entry, dict) else None
        if isinstance(entry, dict) and not labels:
            left_out["withheld"] += 1
            continue
        segment = labels.get("segment") if isinstance(labels, dict) else None
        if (
            not isinstance(labels, dict)
            or not isinstance(segment, list)
            or len(segment) != 2
            or "label" not in labels
        ):
            problems.append(
                f"{where}: should hold subset and annotations: label and segment"
            )
            continue
        split = split_of(entry, where, problems, "subset")
        start_s = number(segment[0], f"{where}: start", problems)
        end_s = number(segment[1], f"{where}: end", problems)
        if start_s is not None and end_s is not None:
            clip = _clip(youtube_id, start_s, end_s, where, problems)
            _add(videos, clip, str(labels["label"]), split, end_s - start_s, where)


def _clip(
    youtube_id: str, start_s: float, end_s: float, where: str, problems: list[str]
) -> RawVideo | None:
    """The clip without its label; None, with a problem noted, if it has no name."""
    if not (start_s.is_integer() and end_s.is_integer() and 0 <= start_s < end_s):
        problems.append(
            f"{where}: time_start {start_s:g} and time_end {end_s:g} must be whole"
            " seconds, the end after the start"
        )
        return None
    if not youtube_id:
        problems.append(f"{where}: youtube_id is empty")
        return None
    name = f"{youtube_id}_{int(start_s):06d}_{int(end_s):06d}"
    return RawVideo(name, where, whole=True, also=(f"{youtube_id}/",))


def _add(
    videos: Videos,
    clip: RawVideo | None,
    label: str,
    split: str | None,
    length_s: float,
    where: str,
) -> None:
    if clip is None:
        return
    clip.split = split
    place = f"{where} ({clip.video_id})"
    videos.new(clip).segments.append(RawSegment(0.0, length_s, label, place))
