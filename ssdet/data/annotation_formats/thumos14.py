"""Reads the label files of THUMOS14, temporal detection.

Segments of the class Ambiguous are neither right nor wrong to detect: they are left out
and counted.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ssdet.data.annotation_formats.database import read_database
from ssdet.data.annotation_formats.raw import (
    AnnotationError,
    RawSegment,
    RawVideo,
    Videos,
)
from ssdet.data.annotation_formats.text import (
    decode,
    is_json,
    number,
    read_bytes,
    refuse_larger,
    rows,
)

AMBIGUOUS = "Ambiguous"


def read_thumos14(
    path: Path, problems: list[str], left_out: Counter[str]
) -> list[RawVideo]:
    """Read any published form.

    csv: video,type,type_idx,start,end,...: one row for each segment.
    JSON: {"database": {video: {subset, annotations: [...]}}}.
    zip or tar: the official archive, with a text file <class>_<subset>.txt of lines
    "video start end" for each class.

    Args:
        path: the file.
        problems: is added to.
        left_out: counts of what is left out, is added to.
    """
    data = read_bytes(path)
    files = list(_archived(path, data))
    if files:
        videos = _read_class_files(path, files, problems)
    elif is_json(text := decode(data, str(path))):
        videos = read_database(path, text, problems, left_out)
    else:
        videos = _read_csv(path, text, problems)
    for video in videos:
        kept = [s for s in video.segments if s.label != AMBIGUOUS]
        left_out["ambiguous"] += len(video.segments) - len(kept)
        video.segments = kept
    return videos


def _read_csv(path: Path, text: str, problems: list[str]) -> list[RawVideo]:
    videos = Videos(problems)
    for where, row in rows(path, text, ("video", "type", "start", "end"), problems):
        video = videos.get(RawVideo(row["video"], where))
        place = f"{where} ({row['video']})"
        _add(video, row["start"], row["end"], row["type"], place, problems)
    return videos.all


def _read_class_files(
    path: Path, files: list[tuple[str, bytes]], problems: list[str]
) -> list[RawVideo]:
    videos = Videos(problems)
    for name, data in files:
        label = PurePosixPath(name).stem.rpartition("_")[0]
        text = decode(data, f"{path}, {name}")
        for count, line in enumerate(text.splitlines(), start=1):
            where, words = f"{path}, {name}:{count}", line.split()
            if not words:
                continue
            if len(words) != 3:
                problems.append(f"{where}: {line!r} should be a video, start and end")
                continue
            video = videos.get(RawVideo(words[0], where))
            _add(video, words[1], words[2], label, f"{where} ({words[0]})", problems)
    return videos.all


def _add(
    video: RawVideo, start: str, end: str, label: str, place: str, problems: list[str]
) -> None:
    start_s = number(start, f"{place}: start", problems)
    end_s = number(end, f"{place}: end", problems)
    if start_s is not None and end_s is not None:
        video.segments.append(RawSegment(start_s, end_s, label, place))


def _archived(path: Path, data: bytes) -> Iterator[tuple[str, bytes]]:
    """The class files of an archive, by name; none if it is no archive.

    Raises:
        AnnotationError: the archive is damaged.
    """
    found: dict[str, bytes] = {}
    size = 0
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for entry in archive.infolist():
                    if _wanted(entry.filename):
                        refuse_larger(path, size := size + entry.file_size)
                        found[entry.filename] = archive.read(entry)
        elif tarfile.is_tarfile(io.BytesIO(data)):
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for member in archive:
                    if member.isfile() and _wanted(member.name):
                        refuse_larger(path, size := size + member.size)
                        content = archive.extractfile(member)
                        found[member.name] = content.read() if content else b""
    except AnnotationError:
        raise
    except Exception as error:  # damaged archives raise many kinds
        raise AnnotationError(f"cannot read {path}: {error}") from None
    yield from sorted(found.items())


def _wanted(name: str) -> bool:
    """Whether a file of an archive is that of a class, not one a Mac has added."""
    path = PurePosixPath(name)
    return path.suffix == ".txt" and "_" in path.stem and path.name[0] != "."
