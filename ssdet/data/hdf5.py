"""HDF5 files of this project: marked when complete, refused when foreign or cut off.

Root attributes: `format` and `version` say what the file is, `complete` is written
last. Values that are not plain (lists, mappings) are JSON text.

Files may come from strangers. HDF5 can make one file show what lies in others, and
declare arrays of any size that are nowhere: both are refused.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

MARKS = ("format", "version", "complete")
PACKED = 1100  # bytes that one stored byte may stand for; gzip reaches 1032
KINDS = "biufS"  # of numbers and bytes, as NumPy calls them


def set_attributes(item: h5py.HLObject, attributes: Mapping[str, Any]) -> None:
    """Write attributes; lists, tuples and mappings as JSON text.

    Texts have a fixed length: these lie in the header, with its checksum.
    """
    for name, value in attributes.items():
        if isinstance(value, bool | int | float):
            item.attrs[name] = value
            continue
        text = value if isinstance(value, str) else json.dumps(value)
        data = text.encode()
        kind = h5py.string_dtype("utf-8", max(1, len(data)))
        item.attrs.create(name, np.array(data, kind))


def get_attributes(item: h5py.HLObject) -> dict[str, Any]:
    """Read attributes as plain Python values; JSON text becomes what it says."""
    attributes: dict[str, Any] = {}
    for name in item.attrs:
        value = get_attribute(item, name)
        if isinstance(value, str) and value[:1] in ("{", "["):
            with suppress(ValueError, RecursionError):
                value = json.loads(value)
        attributes[name] = value
    return attributes


def get_attribute(item: h5py.HLObject, name: str) -> Any:
    """Read one attribute as a plain Python value, None if there is none.

    Raises:
        TypeError: it is an array, a reference or anything else that is not plain.
    """
    value = item.attrs.get(name)
    if isinstance(value, np.generic):
        value = value.item()
    value = value.decode() if isinstance(value, bytes) else value
    if not isinstance(value, str | bool | int | float | None):
        raise TypeError(f"its attribute {name} is a {type(value).__name__}")
    return value


def open_complete(path: Path, format: str, version: int, remedy: str) -> h5py.File:
    """Open a file for reading.

    Args:
        path: the file.
        format: what its attribute `format` must be.
        version: what its attribute `version` must be.
        remedy: what to do about a bad file, for the message.

    Raises:
        ValueError: the file is absent, cut off, incomplete, or something else.
    """
    if not path.is_file():
        raise ValueError(f"no file {path}; {remedy}")
    try:
        # No locks: they fail on some network file systems, and nobody writes here.
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise ValueError(
            f"{path} is cut off or no HDF5 file ({error}); {remedy}"
        ) from None
    try:
        with damage(path, remedy):
            attributes = {name: get_attribute(file, name) for name in MARKS}
        found = attributes["format"]
        if found != format:
            raise ValueError(
                f"{path} has format {found!r}, expected {format!r}; {remedy}"
            )
        if attributes["version"] != version:
            raise ValueError(
                f"{path} has version {attributes['version']} of {format}, this"
                f" program reads version {version}; {remedy}"
            )
        if not attributes["complete"]:
            raise ValueError(f"{path} is incomplete; {remedy}")
        with damage(path, remedy):
            _refuse_what_is_elsewhere(file)
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def damage(path: Path, remedy: str) -> Iterator[None]:
    """Turn what HDF5 says of bytes it cannot read into one clear error.

    Raises:
        ValueError: a read within the block failed; the message names the file.
    """
    try:
        yield
    except (
        *(OSError, RuntimeError, LookupError, UnicodeDecodeError, TypeError),
        *(AttributeError, ArithmeticError, MemoryError, ValueError),
    ) as error:
        if type(error) is ValueError and str(path) in str(error):
            raise  # it is clear already
        raise ValueError(f"{path} is damaged ({error}); {remedy}") from error


def read_index(
    file: h5py.Group, rows: str, count: str, facts: Collection[str] = ()
) -> npt.NDArray[np.void]:
    """Read the table /index, which says which rows are those of a video.

    Args:
        file: the file, or the group, that holds it.
        rows: its column of the first row of each video.
        count: its column of how many they are.
        facts: other columns of numbers, all above 0.

    Raises:
        TypeError: it is no such table.
        ValueError: a number in it is not possible.
    """
    index = file["index"]
    kinds = {"video_id": "S", **dict.fromkeys((rows, count), "iu")}
    kinds |= dict.fromkeys(facts, "iuf")
    if not isinstance(index, h5py.Dataset) or index.ndim != 1:
        raise TypeError("its index is no table")
    fields = index.dtype.fields or {}
    for name, kind in kinds.items():
        if name not in fields or fields[name][0].kind not in kind:
            raise TypeError(f"its index has no column {name} of this kind")
    table: npt.NDArray[np.void] = index[:]
    for name in facts:
        if not (np.isfinite(table[name]) & (table[name] > 0)).all():
            raise ValueError(f"its index has impossible values of {name}")
    return table


def _refuse_what_is_elsewhere(group: h5py.Group, nested: bool = False) -> None:
    """See that all data sets lie in this file, are plain, and as large as they say.

    Raises:
        ValueError: one does not; the message says which.
    """
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"/{name} is a link, maybe to another file")
        item = group[name]
        if isinstance(item, h5py.Group) and not nested:
            _refuse_what_is_elsewhere(item, nested=True)
            continue
        if not isinstance(item, h5py.Dataset) or item.shape is None:
            raise ValueError(f"/{name} is no array")
        if item.external or item.is_virtual:
            raise ValueError(f"the numbers of /{name} lie in another file")
        fields = (item.dtype.fields or {"": (item.dtype, 0)}).values()
        if any(kind.kind not in KINDS for kind, *_ in fields):
            raise ValueError(f"/{name} holds {item.dtype}, not numbers")
        if item.nbytes > PACKED * item.id.get_storage_size():
            raise ValueError(
                f"/{name} declares {item.nbytes} bytes and holds"
                f" {item.id.get_storage_size()}"
            )


def shown(value: object) -> str:
    """A value as it stands in a message; long ones are cut."""
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
