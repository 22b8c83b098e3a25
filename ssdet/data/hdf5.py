"""HDF5 files of this project: marked when complete, refused when foreign or cut off.

Root attributes: `format` and `version` say what the file is, `complete` is written
last. Values that are not plain (lists, mappings) are JSON text.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

OPEN_FILES = 16  # per process


def set_attributes(file: h5py.File, attributes: Mapping[str, Any]) -> None:
    """Write root attributes; lists, tuples and mappings as JSON text."""
    for name, value in attributes.items():
        plain = isinstance(value, str | bool | int | float)
        file.attrs[name] = value if plain else json.dumps(value)


def get_attributes(file: h5py.File) -> dict[str, Any]:
    """Read root attributes as plain Python values; JSON text becomes what it says."""
    attributes: dict[str, Any] = {}
    for name, value in file.attrs.items():
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, str) and value[:1] in ("{", "["):
            with suppress(ValueError):
                value = json.loads(value)
        attributes[name] = value
    return attributes


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
        found = file.attrs.get("format")
        if found != format:
            raise ValueError(
                f"{path} has format {found!r}, expected {format!r}; {remedy}"
            )
        if file.attrs.get("version") != version:
            raise ValueError(
                f"{path} has version {file.attrs.get('version')} of {format}, this"
                f" program reads version {version}; {remedy}"
            )
        if not file.attrs.get("complete", False):
            raise ValueError(f"{path} is incomplete; {remedy}")
    except BaseException:
        file.close()
        raise
    return file


class ShardFolder:
    """Open files of a folder of shards: at most OPEN_FILES, own ones in each process.

    Safe to fork and to pickle: a process never uses a file that another has opened.
    """

    def __init__(self, folder: Path, format: str, version: int, remedy: str) -> None:
        """Name the folder; nothing is opened yet.

        Args:
            folder: holds files shard-*.h5.
            format: of the files.
            version: of the files.
            remedy: what to do about bad files, for messages.
        """
        self.folder = folder
        self._format, self._version, self._remedy = format, version, remedy
        self._process = os.getpid()
        self._files: OrderedDict[str, h5py.File] = OrderedDict()

    def names(self) -> list[str]:
        """The file names of the shards, sorted.

        Raises:
            ValueError: there are none.
        """
        names = sorted(path.name for path in self.folder.glob("shard-*.h5"))
        if not names:
            raise ValueError(f"no shard-*.h5 in {self.folder}; {self._remedy}")
        return names

    def open(self, name: str) -> h5py.File:
        """The open file of a shard.

        Raises:
            ValueError: the file is absent, cut off, incomplete, or something else.
        """
        if self._process != os.getpid():
            self._files = OrderedDict()
            self._process = os.getpid()
        if name not in self._files:
            if len(self._files) >= OPEN_FILES:
                self._files.popitem(last=False)[1].close()
            self._files[name] = open_complete(
                self.folder / name, self._format, self._version, self._remedy
            )
        self._files.move_to_end(name)
        return self._files[name]

    def attributes(self, names: Sequence[str], own: Collection[str]) -> dict[str, Any]:
        """The root attributes that all shards share.

        Args:
            names: of the shards.
            own: attributes in which shards may differ; left out of the result.

        Raises:
            ValueError: shards differ in another attribute; files and values are named.
        """
        first: dict[str, Any] = {}
        for name in names:
            every = get_attributes(self.open(name))
            mine = {key: value for key, value in every.items() if key not in own}
            first = first or mine
            for key in sorted(mine.keys() | first.keys()):
                if mine.get(key) != first.get(key):
                    raise ValueError(
                        f"{self.folder / name} has {key} {shown(mine.get(key))},"
                        f" {names[0]} has {shown(first.get(key))}: they were not made"
                        f" together; remove what is old, or {self._remedy}"
                    )
        return first

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": OrderedDict()}


def shown(value: object) -> str:
    """A value as it stands in a message; long ones are cut."""
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
