"""Cached features of whole videos: the only door to their files, both ways.

`feature_shard.py` says how they lie in a file.
Source: spec of Coarse-Fine, section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from ssdet.data.checksums import NAME, crc32_of_rows, mismatch
from ssdet.data.feature_shard import (
    FORMAT,
    NO_MAPS,
    VERSION,
    VideoFeatures,
    columns_of,
    write_features,
)
from ssdet.data.hdf5 import damage, shown
from ssdet.data.shard_folder import Kind, ShardFolder

__all__ = ["FeatureInfo", "FeatureStore", "VideoFeatures", "write_features"]

REMEDY = "extract the features again"
FACTS = ("n_frames", "duration")
KIND = Kind("features", FORMAT, VERSION, "logits", "offset", "length", FACTS, REMEDY)
# The config key or the thing that a required attribute is compared with.
SOURCES = {
    "stride": "sampling.stride",
    "dtype": "features.dtype",
    "pool": "features.pool",
    "crop": "spatial.crop",
    "classes": "the class list",
    "checkpoint_sha256": "the checkpoint's sha256",
}


@dataclass(frozen=True)
class FeatureInfo:
    """What is stored of a video: `length` rows, from `n_frames` frames."""

    length: int
    n_frames: int
    duration_s: float


class FeatureStore:
    """Reads the features of one split of a data set.

    Safe in DataLoader workers, forked or spawned: each process opens its own files.

    Attributes:
        attributes: root attributes that all shards share, as Python values.
    """

    def __init__(self, folder: str | Path, names: Sequence[str] | None = None) -> None:
        """Read the index of the shards.

        Args:
            folder: holds some of shard-000.h5, shard-001.h5, ...
            names: the files to open, others are not looked at; None: all.

        Raises:
            ValueError: there are no shards, one is cut off, incomplete or something
                else, they were not made together, or share a video.
        """
        self._shards = ShardFolder(folder, names, KIND)
        self.attributes = self._shards.attributes

    @property
    def folder(self) -> Path:
        """Where the shards lie."""
        return self._shards.folder

    @property
    def paths(self) -> list[Path]:
        """The files of the shards, sorted."""
        return self._shards.paths

    def as_parent(self) -> dict[str, Any]:
        """What a record says of these files."""
        return self._shards.as_parent()

    @property
    def video_ids(self) -> list[str]:
        """The videos that have features, sorted."""
        return self._shards.video_ids

    def require(self, **expected: Any) -> None:
        """See that the features are what another part of the program expects.

        Args:
            expected: attribute = value; lists and tuples are the same.

        Raises:
            ValueError: some differ; both values of each are named.
        """
        wrong = []
        for name, value in expected.items():
            found, source = self.attributes.get(name), SOURCES.get(name, name)
            value = list(value) if isinstance(value, tuple) else value
            if name not in self.attributes:
                wrong.append(f"no {name}, {source} is {shown(value)}")
            elif found != value:
                wrong.append(_difference(name, found, source, value))
        if wrong:
            raise ValueError(f"{self.folder} has {'; '.join(wrong)}; {REMEDY}")

    def info(self, video_id: str) -> FeatureInfo:
        """What is stored of a video.

        Raises:
            ValueError: nothing is.
        """
        row = self._shards.find(video_id)[1]
        return FeatureInfo(
            int(row["length"]), int(row["n_frames"]), float(row["duration"])
        )

    def read(
        self, video_id: str, start: int, stop: int, keys: Sequence[str]
    ) -> dict[str, Tensor]:
        """Read a window of a video; nothing else is read.

        Args:
            video_id: the video.
            start: first row, from 0.
            stop: row after the last one, at most the video's length.
            keys: which maps.

        Returns:
            key -> (C, stop - start, H, W), as stored (float16 or float32). The memory
            is in the order (T, C, H, W).

        Raises:
            ValueError: there is no such video, row or key, or the file is damaged.
        """
        shard, row = self._shards.find(video_id)
        first, length = int(row["offset"]), int(row["length"])
        if not 0 <= start <= stop <= length:
            raise ValueError(
                f"video {video_id} has feature rows 0 to {length - 1}, asked for"
                f" {start} to {stop - 1}"
            )
        present = self._shards.keys(shard)
        absent = [key for key in keys if key not in present]
        if absent:
            raise ValueError(
                f"{self.folder / shard} has no {', '.join(absent)} but"
                f" {', '.join(sorted(present - NO_MAPS))}; {REMEDY}"
            )
        window = slice(first + start, first + stop)
        with damage(self.folder / shard, REMEDY):
            found = self._rows(shard, window, keys)
            return {
                key: torch.from_numpy(rows).movedim(0, 1)  # from (T', C, H, W)
                for key, rows in found.items()
            }

    def logits(self, video_id: str) -> Tensor:
        """The model's own logits of a whole video, (T, K) float32.

        Raises:
            ValueError: there is no such video, or the file is damaged.
        """
        shard, row = self._shards.find(video_id)
        first, last = int(row["offset"]), int(row["offset"] + row["length"])
        with damage(self.folder / shard, REMEDY):
            rows = self._rows(shard, slice(first, last), ["logits"])
            return torch.from_numpy(rows["logits"])

    def _rows(
        self, shard: str, window: slice, keys: Sequence[str]
    ) -> dict[str, npt.NDArray[Any]]:
        """Rows of some data sets, as they were written.

        Raises:
            OSError: they cannot be read, or their checksums differ.
        """
        rows = {key: self._shards.data(shard, key)[window] for key in keys}
        stored = self._shards.optional(shard, NAME)
        sums = None if stored is None else stored[window]
        columns = columns_of(self._shards.keys(shard))
        for key, array in rows.items():
            if (
                sums is not None
                and (sums[:, columns.index(key)] != crc32_of_rows(array)).any()
            ):
                raise mismatch(f"rows {window.start} to {window.stop - 1} of /{key}")
        return rows


def _difference(name: str, found: Any, source: str, value: Any) -> str:
    """Both values, and for lists the first place where they differ."""
    if isinstance(found, list) and isinstance(value, list):
        if len(found) != len(value):
            return f"{len(found)} {name}, {source} has {len(value)}"
        where = next(i for i, item in enumerate(found) if item != value[i])
        return f"{name}[{where}] {found[where]!r}, {source} has {value[where]!r}"
    return f"{name} {shown(found)}, {source} is {shown(value)}"
