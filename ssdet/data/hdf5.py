"""HDF5 files of this project: marked when complete, refused when foreign or cut off.

Root attributes: `format` and `version` say what the file is, `complete` is written
last. Values that are not plain (lists, mappings) are JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

MARKS = ("format", "version", "complete")


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
            with suppress(ValueError):
                value = json.loads(value)
        attributes[name] = value
    return attributes


def get_attribute(item: h5py.HLObject, name: str) -> Any:
    """Read one attribute as a plain Python value, None if there is none."""
    value = item.attrs.get(name)
    if isinstance(value, np.generic):
        value = value.item()
    return value.decode() if isinstance(value, bytes) else value


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
    except (OSError, RuntimeError, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}); {remedy}") from error


def shown(value: object) -> str:
    """A value as it stands in a message; long ones are cut."""
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
