"""Reads the label file of ActivityNet 1.3.

The official file names a video by its YouTube id, the tables of later work and the
videos themselves by v_<YouTube id>; here it is always the latter, and files of either
name are found.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ssdet.data.annotation_formats.database import read_database
from ssdet.data.annotation_formats.raw import RawVideo
from ssdet.data.annotation_formats.text import read_text

PREFIX = "v_"


def read_activitynet(
    path: Path, problems: list[str], left_out: Counter[str]
) -> list[RawVideo]:
    """Read {"database": {id: {subset, duration, annotations: [...]}}}.

    The official subset `validation` is what one tests on; the videos of `testing`,
    whose labels are not published, are left out and counted.

    Args:
        path: the file; one file holds all subsets.
        problems: is added to.
        left_out: counts of what is left out, is added to.
    """
    videos = read_database(path, read_text(path), problems, left_out, "testing")
    prefixed = all(video.video_id.startswith(PREFIX) for video in videos)
    for video in videos:
        bare = video.video_id.removeprefix(PREFIX) if prefixed else video.video_id
        video.video_id, video.also = PREFIX + bare, (bare,)
    return videos
