"""Reads the label file of MultiTHUMOS."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ssdet.data.annotation_formats.action_lists import read_action_lists
from ssdet.data.annotation_formats.raw import RawVideo
from ssdet.data.annotation_formats.text import read_text


def read_multithumos(
    path: Path, problems: list[str], left_out: Counter[str]
) -> list[RawVideo]:
    """Read {video: {subset, duration, actions: [[class, start, end], ...]}}.

    Classes are whole numbers from 1, as in the first column of the class list.

    Args:
        path: the file.
        problems: is added to.
        left_out: is not added to.
    """
    return read_action_lists(path, read_text(path), problems, str)
