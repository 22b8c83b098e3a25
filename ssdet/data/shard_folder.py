"""A folder of shards: which video lies where, and the files a process has open.

What frames and features have in common: each shard has an /index that is sorted by
video, and the videos' rows follow one another without gaps.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ssdet.config import canonical_json
from ssdet.data.checksums import sealed
from ssdet.data.hdf5 import (
    damage,
    get_attributes,
    open_complete,
    read_index,
    shown,
)
from ssdet.files import sha256_text

OPEN_FILES = 16  # per process
OWN = ("provenance", "shard")  # attributes in which shards of a folder may differ


@dataclass(frozen=True)
class Kind:
    """A kind of shard.

    Attributes:
        what: it holds, for messages.
        format: of the files.
        version: of the files.
        rows: the data set whose rows the index deals out.
        first: column of the index: first row of a video.
        count: column of the index: rows of a video.
        facts: its other columns, numbers above 0.
        remedy: what to do about bad files, for messages.
    """

    what: str
    format: str
    version: int
    rows: str
    first: str
    count: str
    facts: tuple[str, ...]
    remedy: str


class ShardFolder:
    """Shards of one kind: at most OPEN_FILES are open, own ones in each process.

    Safe to fork and to pickle: a process never uses a file that another has opened.

    Attributes:
        folder: where the files lie.
        names: of the files, sorted.
        attributes: root attributes that all shards share, as Python values.
    """

    def __init__(
        self, folder: str | Path, names: Sequence[str] | None, kind: Kind
    ) -> None:
        """Read what the shards say of themselves; each is opened once.

        Args:
            folder: holds some of shard-000.h5, shard-001.h5, ...
            names: the files to open, others are not looked at; None: all.
            kind: what they must be.

        Raises:
            ValueError: there are no shards, one is cut off, damaged, incomplete or
                something else, they were not made together, or share a video.
        """
        self.folder = Path(folder)
        self._kind = kind
        self._process = os.getpid()
        self._files: OrderedDict[str, h5py.File] = OrderedDict()
        self._data: dict[str, dict[str, h5py.Dataset]] = {}  # of open files
        self._keys: dict[str, frozenset[str]] = {}  # of open files
        self._index: dict[str, npt.NDArray[np.void]] = {}
        self._places: dict[str, tuple[str, int]] = {}  # shard, row of its index
        self.names = self._found() if names is None else sorted(names)
        self.attributes: dict[str, Any] = {}
        for name in self.names:
            with damage(self.folder / name, kind.remedy):
                file = self.open(name)
                attributes = get_attributes(file)
                index = read_index(file, kind.first, kind.count, kind.facts)
                rows = len(file[kind.rows]) if len(index) else 0
                self._compare(name, attributes)
                self._see_fit(name, index, rows)
                self._add(name, index)
                sealed(file["index"])

    def _found(self) -> list[str]:
        names = sorted(path.name for path in self.folder.glob("shard-*.h5"))
        if not names:
            raise ValueError(f"no shard-*.h5 in {self.folder}; {self._kind.remedy}")
        return names

    def _compare(self, name: str, attributes: dict[str, Any]) -> None:
        """See that a shard was made as the first one was."""
        mine = {key: value for key, value in attributes.items() if key not in OWN}
        first = self.attributes = self.attributes or mine
        for key in sorted(mine.keys() | first.keys()):
            if mine.get(key) != first.get(key):
                raise ValueError(
                    f"{self.folder / name} has {key} {shown(mine.get(key))},"
                    f" {self.names[0]} has {shown(first.get(key))}: they were not made"
                    f" together; remove what is old, or {self._kind.remedy}"
                )

    def _see_fit(self, name: str, index: npt.NDArray[np.void], rows: int) -> None:
        """See that a shard's index deals out all its rows."""
        counts = index[self._kind.count].astype(np.int64)
        ends = np.cumsum(counts)
        starts = index[self._kind.first]
        possible = (counts >= 1) & (counts <= rows) & (starts == ends - counts)
        if not possible.all() or sum(counts) != rows:
            raise ValueError(
                f"{self.folder / name} is damaged (its index does not fit the {rows}"
                f" rows of /{self._kind.rows}); {self._kind.remedy}"
            )

    def _add(self, name: str, index: npt.NDArray[np.void]) -> None:
        """Take up the videos of a shard."""
        self._index[name] = index
        for row, video_id in enumerate(_texts(index["video_id"])):
            if video_id in self._places:
                raise ValueError(
                    f"{self.folder}: {self._places[video_id][0]} and {name} both hold"
                    f" video {video_id}; remove what is old, or {self._kind.remedy}"
                )
            self._places[video_id] = (name, row)

    @property
    def paths(self) -> list[Path]:
        """The files, sorted."""
        return [self.folder / name for name in self.names]

    def as_parent(self) -> dict[str, Any]:
        """What a record says of these files: how they were made, not their bytes."""
        made = sha256_text(canonical_json(self.attributes))
        return {"path": str(self.folder), "files": self.names, "made": made}

    @property
    def video_ids(self) -> list[str]:
        """The videos, sorted."""
        return sorted(self._places)

    def find(self, video_id: str) -> tuple[str, np.void]:
        """The shard of a video, and its row of the index.

        Raises:
            ValueError: there is no such video.
        """
        if video_id not in self._places:
            raise ValueError(
                f"no {self._kind.what} of video {video_id!r} in {self.folder}, which"
                f" has {len(self._places)} videos; {self._kind.remedy}, or list the"
                " video in data.exclude"
            )
        name, row = self._places[video_id]
        return name, self._index[name][row]

    def open(self, name: str) -> h5py.File:
        """The open file of a shard.

        Raises:
            ValueError: the file is absent, cut off, incomplete, or something else.
        """
        if self._process != os.getpid():
            self._files, self._data, self._keys = OrderedDict(), {}, {}
            self._process = os.getpid()
        if name not in self._files:
            if len(self._files) >= OPEN_FILES:
                oldest, file = self._files.popitem(last=False)
                self._data.pop(oldest, None)
                self._keys.pop(oldest, None)
                file.close()
            self._files[name] = open_complete(
                self.folder / name,
                self._kind.format,
                self._kind.version,
                self._kind.remedy,
            )
        self._files.move_to_end(name)
        return self._files[name]

    def data(self, name: str, key: str) -> h5py.Dataset:
        """A data set of a shard, kept open: opening it costs more than a short read.

        Raises:
            ValueError: as `open`.
            KeyError: the shard has no such data set.
        """
        file = self.open(name)
        kept = self._data.setdefault(name, {})
        if key not in kept:
            kept[key] = file[key]
        return kept[key]

    def keys(self, name: str) -> frozenset[str]:
        """Names of the data sets of a shard, listed once while it is open.

        Raises:
            ValueError: as `open`.
        """
        file = self.open(name)
        if name not in self._keys:
            self._keys[name] = frozenset(file)
        return self._keys[name]

    def optional(self, name: str, key: str) -> h5py.Dataset | None:
        """As `data`, or None: files of earlier versions have no checksums.

        Raises:
            ValueError: as `open`.
        """
        return self.data(name, key) if key in self.keys(name) else None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": OrderedDict(), "_data": {}, "_keys": {}}


def _texts(names: Collection[bytes]) -> list[str]:
    return [name.decode() for name in names]
