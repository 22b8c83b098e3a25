"""Reads the plain table in which one writes the labels of one's own videos."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ssdet.data.annotation_formats.raw import RawSegment, RawVideo, Videos
from ssdet.data.annotation_formats.text import number, read_text, rows, split_of


def read_table(
    path: Path, problems: list[str], left_out: Counter[str]
) -> list[RawVideo]:
    """Read video_id,start_s,end_s,label[,split]: one row for each segment.

    A row with nothing but the video (and split) names a video without actions.

    Args:
        path: the file.
        problems: is added to.
        left_out: is not added to.
    """
    videos = Videos(problems)
    columns = ("video_id", "start_s", "end_s", "label")
    for where, row in rows(path, read_text(path), columns, problems):
        place = f"{where} ({row['video_id']})"
        split = split_of(row, where, problems)
        video = videos.get(RawVideo(row["video_id"], where, split))
        if video.split != split:
            problems.append(
                f"{place}: split {split}, but {video.where} says {video.split}"
            )
        empty = [name for name in columns[1:] if not row[name]]
        if len(empty) == 3:
            continue
        if empty:
            problems.append(
                f"{place}: {' and '.join(empty)} empty; leave all of start_s, end_s and"
                " label empty to say that the video has no actions"
            )
            continue
        start_s = number(row["start_s"], f"{place}: start_s", problems)
        end_s = number(row["end_s"], f"{place}: end_s", problems)
        if start_s is not None and end_s is not None:
            video.segments.append(RawSegment(start_s, end_s, row["label"], place))
    return videos.all
