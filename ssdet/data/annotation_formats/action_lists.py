"""Reads {video: {subset, duration, actions: [[class, start, end], ...]}}.

The form in which both Charades and MultiTHUMOS are passed on; only what a class is
called differs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ssdet.data.annotation_formats.raw import RawSegment, RawVideo, Videos
from ssdet.data.annotation_formats.text import duration, json_object, number, split_of


def read_action_lists(
    path: Path, text: str, problems: list[str], word: Callable[[object], str]
) -> list[RawVideo]:
    """Read every video with its actions.

    Args:
        path: the file, for messages.
        text: what it holds.
        problems: is added to.
        word: the class list's word for a class as it stands in the file.
    """
    videos = Videos(problems)
    for video_id, entry in json_object(path, text, problems).items():
        where = f"{path}: {video_id}"
        if not isinstance(entry, dict) or not isinstance(entry.get("actions"), list):
            problems.append(
                f"{where}: should hold subset, duration and a list of actions"
            )
            continue
        split = split_of({"subset": entry.get("subset", "")}, where, problems, "subset")
        duration_s = duration(entry.get("duration"), f"{where}: duration", problems)
        video = videos.new(RawVideo(video_id, where, split, duration_s))
        for count, action in enumerate(entry["actions"], start=1):
            place = f"{where}, action {count}"
            if not isinstance(action, list) or len(action) != 3:
                problems.append(f"{place}: {action!r} should be [class, start, end]")
                continue
            start_s = number(action[1], f"{place}: start", problems)
            end_s = number(action[2], f"{place}: end", problems)
            if start_s is not None and end_s is not None:
                label = word(action[0])
                video.segments.append(RawSegment(start_s, end_s, label, place))
    return videos.all
