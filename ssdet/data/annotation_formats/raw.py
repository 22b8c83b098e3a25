"""Videos and segments as a label file has them, before anything is decided."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ssdet.texts import control_characters

MAX_ID_LENGTH = 200
MAX_LABEL_LENGTH = 500  # sentences are used as labels too
PLAIN = re.compile(r"[\w-]{1,100}", re.ASCII)  # ids that need no further look


class AnnotationError(ValueError):
    """Label files that cannot be used; the message lists every offending row."""


@dataclass(frozen=True, slots=True)
class RawSegment:
    """A segment as written: `where` is its file and row, `label` the file's word."""

    start_s: float
    end_s: float
    label: str
    where: str


@dataclass(slots=True)
class RawVideo:
    """A video as written.

    Attributes:
        video_id: name of the video file without its suffix.
        where: file and row that first name it.
        split: `training` or `testing`; None if the file does not say.
        duration_s: None if the file does not say.
        whole: the one segment covers the whole video, whatever its length.
        segments: its actions.
        also: other names that its file may have; one that ends in / is only the name
            of a folder of frames.
    """

    video_id: str
    where: str
    split: str | None = None
    duration_s: float | None = None
    whole: bool = False
    segments: list[RawSegment] = field(default_factory=list)
    also: tuple[str, ...] = ()


# Takes a file, a list for its problems, and counts of what is left out by kind.
Reader = Callable[[Path, list[str], Counter[str]], list[RawVideo]]


class Videos:
    """The videos of one file by id; problems are noted once for each of them."""

    def __init__(self, problems: list[str]) -> None:
        """Start with none; bad or repeated ids go to `problems`."""
        self._problems = problems
        self._by_id: dict[str, RawVideo] = {}

    @property
    def all(self) -> list[RawVideo]:
        """The videos in the file's order."""
        return list(self._by_id.values())

    def get(self, video: RawVideo) -> RawVideo:
        """The video of this id: an earlier one of the file, or this one."""
        if video.video_id not in self._by_id:
            wrong = wrong_id(video.video_id)
            if wrong is not None:
                self._problems.append(f"{video.where}: {wrong}")
            self._by_id[video.video_id] = video
        return self._by_id[video.video_id]

    def new(self, video: RawVideo) -> RawVideo:
        """Add a video that the file must name only once."""
        known = self.get(video)
        if known is not video:
            self._problems.append(
                f"{video.where}: video {video.video_id!r} is named twice, first in"
                f" {known.where}"
            )
        return video


def wrong_id(video_id: str) -> str | None:
    """Say why a video id cannot be the name of a file; None if it can."""
    if PLAIN.fullmatch(video_id):  # nearly all: data sets have 240,000
        return None
    if not video_id:
        return "the video id is empty"
    shown = _shown(video_id)
    if len(video_id) > MAX_ID_LENGTH:
        return (
            f"video id {shown} has {len(video_id)} characters, at most"
            f" {MAX_ID_LENGTH} are allowed"
        )
    if (
        video_id in (".", "..")
        or any(character in "/\\" for character in video_id)
        or control_characters(video_id)
    ):
        return (
            f"video id {shown} is not the name of a file: it must hold no slash,"
            " backslash, line break or other control character"
        )
    return None


def wrong_label(label: str) -> str | None:
    """Say why a label cannot be the name of a class; None if it can.

    Names of classes stand in tables, figures and messages.
    """
    if len(label) > MAX_LABEL_LENGTH:
        return (
            f"label {_shown(label)} has {len(label)} characters, at most"
            f" {MAX_LABEL_LENGTH} are allowed"
        )
    if control_characters(label):
        return (
            f"label {_shown(label)} must hold no line break or other control character"
        )
    return None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "...")
