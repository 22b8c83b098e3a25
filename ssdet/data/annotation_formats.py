"""Reads the label files of each format, as they are written.

A reader gives every video of a file with its segments, and adds to a list of problems
what it cannot read. What the segments must satisfy is decided in `annotations.py`.
All files may be gzip.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SPLIT_WORDS = {
    "training": "training",
    "train": "training",
    "testing": "testing",
    "test": "testing",
    "validation": "testing",
    "validate": "testing",
    "val": "testing",
}
MAX_ID_LENGTH = 200
CONTROL = ("Cc", "Cs", "Zl", "Zp")  # Unicode: controls, surrogates, line separators


class AnnotationError(ValueError):
    """Label files that cannot be used; the message lists every offending row."""


@dataclass(frozen=True)
class RawSegment:
    """A segment as written: `where` is its file and row, `label` the file's word."""

    start_s: float
    end_s: float
    label: str
    where: str


@dataclass
class RawVideo:
    """A video as written.

    Attributes:
        video_id: name of the video file without its suffix.
        where: file and row that first name it.
        split: `training` or `testing`; None if the file does not say.
        duration_s: None if the file does not say.
        whole: the one segment covers the whole video, whatever its length.
    """

    video_id: str
    where: str
    split: str | None = None
    duration_s: float | None = None
    whole: bool = False
    segments: list[RawSegment] = field(default_factory=list)


Reader = Callable[[Path, list[str]], list[RawVideo]]


def read_kinetics(path: Path, problems: list[str]) -> list[RawVideo]:
    """Read label,youtube_id,time_start,time_end[,split,...]: one row for each clip.

    The clip's file is called <youtube_id>_<time_start, 6 digits>_<time_end, 6 digits>.
    """
    videos = Videos(problems)
    columns = ("label", "youtube_id", "time_start", "time_end")
    for where, row in _rows(path, columns, problems):
        start_s = _number(row["time_start"], f"{where}: time_start", problems)
        end_s = _number(row["time_end"], f"{where}: time_end", problems)
        split = _split(row, where, problems)
        if start_s is None or end_s is None:
            continue
        if not (start_s.is_integer() and end_s.is_integer() and 0 <= start_s < end_s):
            problems.append(
                f"{where}: time_start {row['time_start']} and time_end"
                f" {row['time_end']} must be whole seconds, the end after the start"
            )
            continue
        name = f"{row['youtube_id']}_{int(start_s):06d}_{int(end_s):06d}"
        if not row["youtube_id"]:
            problems.append(f"{where}: youtube_id is empty")
            continue
        video = videos.new(RawVideo(name, where, split, whole=True))
        video.segments.append(
            RawSegment(0.0, end_s - start_s, row["label"], f"{where} ({name})")
        )
    return videos.all


def read_charades(path: Path, problems: list[str]) -> list[RawVideo]:
    """Read id,...,actions,length with actions "c092 11.90 21.20;c147 0.00 12.60"."""
    videos = Videos(problems)
    for where, row in _rows(path, ("id", "actions", "length"), problems):
        place = f"{where} ({row['id']})"
        duration_s = _duration(row["length"], f"{where}: length", problems)
        video = videos.new(RawVideo(row["id"], where, None, duration_s))
        for action in filter(None, map(str.strip, row["actions"].split(";"))):
            words = action.split()
            if len(words) != 3:
                problems.append(
                    f"{place}: action {action!r} should be a class, a start and an end"
                )
                continue
            start_s = _number(words[1], f"{place}: start of {action!r}", problems)
            end_s = _number(words[2], f"{place}: end of {action!r}", problems)
            if start_s is not None and end_s is not None:
                video.segments.append(RawSegment(start_s, end_s, words[0], place))
    return videos.all


def read_multithumos(path: Path, problems: list[str]) -> list[RawVideo]:
    """Read {video: {subset, duration, actions: [[class, start, end], ...]}}.

    Classes are whole numbers from 1, as in the first column of the class list.
    """
    videos = Videos(problems)
    for video_id, entry in _json_object(path, problems).items():
        where = f"{path}: {video_id}"
        if not isinstance(entry, dict) or not isinstance(entry.get("actions"), list):
            problems.append(
                f"{where}: should hold subset, duration and a list of actions"
            )
            continue
        row = {"split": str(entry.get("subset", ""))}
        split = _split(row, where, problems, "subset")
        duration_s = _duration(entry.get("duration"), f"{where}: duration", problems)
        video = videos.new(RawVideo(video_id, where, split, duration_s))
        for number, action in enumerate(entry["actions"], start=1):
            place = f"{where}, action {number}"
            if not isinstance(action, list) or len(action) != 3:
                problems.append(f"{place}: {action!r} should be [class, start, end]")
                continue
            start_s = _number(action[1], f"{place}: start", problems)
            end_s = _number(action[2], f"{place}: end", problems)
            if start_s is not None and end_s is not None:
                label = str(action[0])
                video.segments.append(RawSegment(start_s, end_s, label, place))
    return videos.all


def read_table(path: Path, problems: list[str]) -> list[RawVideo]:
    """Read video_id,start_s,end_s,label[,split]: one row for each segment.

    A row with nothing but the video (and split) names a video without actions.
    """
    videos = Videos(problems)
    columns = ("video_id", "start_s", "end_s", "label")
    for where, row in _rows(path, columns, problems):
        place = f"{where} ({row['video_id']})"
        split = _split(row, where, problems)
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
        start_s = _number(row["start_s"], f"{place}: start_s", problems)
        end_s = _number(row["end_s"], f"{place}: end_s", problems)
        if start_s is not None and end_s is not None:
            video.segments.append(RawSegment(start_s, end_s, row["label"], place))
    return videos.all


READERS: dict[str, Reader] = {
    "kinetics": read_kinetics,
    "charades": read_charades,
    "multithumos": read_multithumos,
    "table": read_table,
}


def read_classes(path: Path, format: str, problems: list[str]) -> dict[str, str]:
    """Read a class list: the word used in the label files -> the class, in order.

    charades: lines "c000 Holding some clothes", the class is c000; multithumos: a
    number and a name, with comma or space between, below a header or not; kinetics and
    table: one class on each line.
    """
    classes: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        word = name = line.strip()
        if not name:
            continue
        if format == "charades":
            word = name = name.split()[0]
        elif format == "multithumos":
            cells = name.split(",") if "," in name else name.split(maxsplit=1)
            if number == 1 and not cells[0].strip().isdecimal():
                continue  # the header
            if len(cells) < 2 or not cells[0].strip().isdecimal():
                problems.append(
                    f"{path}:{number}: {name!r} should be a number and a name"
                )
                continue
            word, name = str(int(cells[0])), cells[1].strip()
        if word in classes or name in classes.values():
            problems.append(f"{path}:{number}: class {name!r} is listed twice")
        classes[word] = name
    if not classes:
        problems.append(f"{path}: lists no class")
    return classes


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
    if not video_id:
        return "the video id is empty"
    shown = repr(video_id if len(video_id) <= 60 else video_id[:60] + "...")
    if len(video_id) > MAX_ID_LENGTH:
        return (
            f"video id {shown} has {len(video_id)} characters, at most"
            f" {MAX_ID_LENGTH} are allowed"
        )
    if video_id in (".", "..") or any(
        character in "/\\" or unicodedata.category(character) in CONTROL
        for character in video_id
    ):
        return (
            f"video id {shown} is not the name of a file: it must hold no slash,"
            " backslash, line break or other control character"
        )
    return None


def read_text(path: Path) -> str:
    """The text of a file, plain or gzip, in UTF-8.

    Raises:
        AnnotationError: the file is absent, damaged or not UTF-8.
    """
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise AnnotationError(
            f"no label file at {path}; see the config key datasets.<name>.annotations"
        ) from None
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise AnnotationError(
            f"{path}:{line}: not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise AnnotationError(f"cannot read {path}: {error}") from None


def _rows(
    path: Path, columns: tuple[str, ...], problems: list[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row of a csv file with its place; cells lose spaces at both ends."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    header = [name.strip() for name in next(reader, [])]
    missing = [name for name in columns if name not in header]
    if missing:
        problems.append(
            f"{path}:1: no column {', '.join(missing)}; expected {', '.join(columns)},"
            f" found {', '.join(header) or 'an empty file'}"
        )
        return
    try:
        before = reader.line_num
        for cells in reader:
            where, before = f"{path}:{before + 1}", reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                problems.append(
                    f"{where}: {len(cells)} cells, but the header has {len(header)}"
                )
                continue
            yield where, dict(zip(header, map(str.strip, cells), strict=True))
    except csv.Error as error:
        problems.append(f"{path}:{reader.line_num}: {error}")


def _json_object(path: Path, problems: list[str]) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            twice = sorted(name for name, count in counts.items() if count > 1)
            problems.append(f"{path}: {', '.join(map(repr, twice))} is named twice")
        return content

    try:
        content = json.loads(read_text(path), object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise AnnotationError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    if not isinstance(content, dict):
        raise AnnotationError(f"{path}: should be a JSON object of videos")
    return content


def _split(
    row: dict[str, str], where: str, problems: list[str], column: str = "split"
) -> str | None:
    if "split" not in row:
        return None
    split = SPLIT_WORDS.get(row["split"].lower())
    if split is None:
        problems.append(
            f"{where}: {column} is {row['split']!r}, expected training or testing"
            " (train, test, val, validate and validation are understood)"
        )
    return split


def _number(value: object, where: str, problems: list[str]) -> float | None:
    """A finite number, or None with a problem noted."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
    except (ValueError, OverflowError):
        problems.append(f"{where}: expected a number of seconds, found {value!r}")
        return None
    return number


def _duration(value: object, where: str, problems: list[str]) -> float | None:
    duration_s = _number(value, where, problems)
    if duration_s is not None and duration_s <= 0:
        problems.append(f"{where}: a video lasts more than 0 s, found {value!r}")
        return None
    return duration_s
