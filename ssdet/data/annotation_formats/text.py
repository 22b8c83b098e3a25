"""The text of label files: rows of csv, objects of JSON, numbers, words for splits."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ssdet.data.annotation_formats.raw import AnnotationError
from ssdet.texts import parse_json

LARGEST = 1 << 30  # bytes of a label file, unpacked; the largest published: 60 MB
PIECE = 1 << 20  # bytes read at a time
OF_LABELS = "datasets.<name>.annotations"
SPLIT_WORDS = {
    "training": "training",
    "train": "training",
    "testing": "testing",
    "test": "testing",
    "validation": "testing",
    "validate": "testing",
    "val": "testing",
}


def read_text(path: Path, key: str = OF_LABELS) -> str:
    """The text of a file, plain or gzip, in UTF-8.

    Args:
        path: the file.
        key: config key that names it, for messages.

    Raises:
        AnnotationError: the file is absent, damaged, too large or not UTF-8.
    """
    return decode(read_bytes(path, key), str(path))


def read_bytes(path: Path, key: str = OF_LABELS) -> bytes:
    """The bytes of a file, plain or gzip.

    Raises:
        AnnotationError: the file is absent, damaged or too large.
    """
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            source = gzip.GzipFile(fileobj=file) if packed else file
            pieces, size = [], 0
            while piece := source.read(PIECE):
                size += len(piece)
                refuse_larger(path, size)
                pieces.append(piece)
            return b"".join(pieces)
    except FileNotFoundError:
        raise AnnotationError(
            f"no label file at {path}; see the config key {key}"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise AnnotationError(f"cannot read {path}: {error}") from None


def refuse_larger(path: Path, size: int) -> None:
    """See that a file is no larger, unpacked, than label files are.

    Raises:
        AnnotationError: it is.
    """
    if size > LARGEST:
        raise AnnotationError(
            f"cannot read {path}: it holds more than {LARGEST >> 20} MiB, which no"
            " label file does"
        )


def decode(data: bytes, where: str) -> str:
    """Bytes as UTF-8 text.

    Raises:
        AnnotationError: they are not; `where` names the file.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise AnnotationError(
            f"{where}:{line}: not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None


def is_json(text: str) -> bool:
    """Whether a text can only be meant as JSON."""
    return text.lstrip()[:1] in ("{", "[")


def rows(
    path: Path, text: str, columns: tuple[str, ...], problems: list[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row of a csv text with its place; cells lose spaces at both ends.

    Args:
        path: of the file, for the places.
        text: what it holds, with a header.
        columns: which the header must name; others may be there.
        problems: is added to.
    """
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [name.strip() for name in next(reader, [])]
        missing = [name for name in columns if name not in header]
        if missing:
            problems.append(
                f"{path}:1: no column {', '.join(missing)}; expected"
                f" {', '.join(columns)}, found {', '.join(header) or 'an empty file'}"
            )
            return
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


def json_object(path: Path, text: str, problems: list[str]) -> dict[str, Any]:
    """A JSON text that is an object; names that come twice are problems.

    Raises:
        AnnotationError: it is no JSON, or no object.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            twice = sorted(name for name, count in counts.items() if count > 1)
            problems.append(f"{path}: {', '.join(map(repr, twice))} is named twice")
        return content

    try:
        content = parse_json(text, path, once)
    except ValueError as error:
        raise AnnotationError(str(error)) from None
    if not isinstance(content, dict):
        raise AnnotationError(f"{path}: should be a JSON object of videos")
    return content


def split_of(
    row: Mapping[str, Any], where: str, problems: list[str], column: str = "split"
) -> str | None:
    """The split that a row says; None if it says none, or a word that nobody knows."""
    if column not in row:
        return None
    split = SPLIT_WORDS.get(str(row[column]).lower())
    if split is None:
        problems.append(
            f"{where}: {column} is {row[column]!r}, expected training or testing"
            " (train, test, val, validate and validation are understood)"
        )
    return split


def number(value: object, where: str, problems: list[str]) -> float | None:
    """A finite number, or None with a problem noted."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        found = float(value)
        if not math.isfinite(found):
            raise ValueError
    except (ValueError, OverflowError):
        problems.append(f"{where}: expected a number of seconds, found {value!r}")
        return None
    return found


def duration(value: object, where: str, problems: list[str]) -> float | None:
    """A finite number above 0, or None with a problem noted."""
    duration_s = number(value, where, problems)
    if duration_s is not None and duration_s <= 0:
        problems.append(f"{where}: a video lasts more than 0 s, found {value!r}")
        return None
    return duration_s
