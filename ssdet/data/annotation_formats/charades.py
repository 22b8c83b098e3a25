"""Reads the label files of Charades: the official csv, and the JSON made of it.

Source: spec of SSDet, section 4 (JSON form); spec of the evaluation, section 4.4 (csv).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ssdet.data.annotation_formats.action_lists import read_action_lists
from ssdet.data.annotation_formats.raw import RawSegment, RawVideo, Videos
from ssdet.data.annotation_formats.text import (
    duration,
    is_json,
    number,
    read_text,
    rows,
)


def read_charades(
    path: Path, problems: list[str], left_out: Counter[str]
) -> list[RawVideo]:
    """Read either published form.

    csv: id,...,actions,length with actions "c092 11.90 21.20;c147 0.00 12.60".
    JSON: {id: {subset, duration, actions: [[92, 11.9, 21.2], ...]}}.

    Args:
        path: the file.
        problems: is added to.
        left_out: is not added to.
    """
    text = read_text(path)
    if is_json(text):
        return read_action_lists(path, text, problems, _word)
    videos = Videos(problems)
    for where, row in rows(path, text, ("id", "actions", "length"), problems):
        place = f"{where} ({row['id']})"
        duration_s = duration(row["length"], f"{where}: length", problems)
        video = videos.new(RawVideo(row["id"], where, None, duration_s))
        for action in filter(None, map(str.strip, row["actions"].split(";"))):
            words = action.split()
            if len(words) != 3:
                problems.append(
                    f"{place}: action {action!r} should be a class, a start and an end"
                )
                continue
            start_s = number(words[1], f"{place}: start of {action!r}", problems)
            end_s = number(words[2], f"{place}: end of {action!r}", problems)
            if start_s is not None and end_s is not None:
                video.segments.append(RawSegment(start_s, end_s, words[0], place))
    return videos.all


def _word(label: object) -> str:
    """The name in the class list of a class of the JSON form, which counts from 0."""
    return f"c{label:03d}" if type(label) is int else str(label)
