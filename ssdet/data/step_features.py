"""One vector for each step of a video, from our own cache or from published files.

The only reader of features for the temporal heads. A step stands for the time f T / F
of a video of F steps and T seconds, its left edge.

Source: spec of the heads, section 1.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ssdet.data.feature_store import FeatureStore
from ssdet.files import sha256_text
from ssdet.provenance import listing

SHOWN = 20  # videos in a message


class StepFeatures(Protocol):
    """Features of the videos of a split."""

    @property
    def width(self) -> int:
        """D."""
        ...

    @property
    def video_ids(self) -> Collection[str]:
        """The videos that have features."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """What is known of how they were made, the same for all splits."""
        ...

    @property
    def paths(self) -> list[Path]:
        """Files to name as parents of what is made of them."""
        ...

    def as_parent(self) -> dict[str, Any]:
        """What a record says of them where they are too large to hash."""
        ...

    def steps(self, video_id: str) -> int:
        """F of a video."""
        ...

    def read(self, video_id: str, start: int, stop: int) -> Tensor:
        """Steps start to stop - 1: (D, stop - start) float32."""
        ...


class StoredSteps:
    """One map of the feature store, averaged over space."""

    def __init__(self, store: FeatureStore, key: str) -> None:
        """Read `key` of the store: conv5, or head for what the classifier reads."""
        self.store, self.key = store, key

    @cached_property
    def width(self) -> int:
        """D."""
        first = self.store.video_ids[0]
        return self.store.read(first, 0, 1, [self.key])[self.key].shape[0]

    @property
    def video_ids(self) -> list[str]:
        """The videos that have features, sorted."""
        return self.store.video_ids

    @property
    def identity(self) -> dict[str, Any]:
        """The attributes that both splits share, and the map."""
        kept = {k: v for k, v in self.store.attributes.items() if k != "split"}
        return {**kept, "key": self.key}

    @property
    def paths(self) -> list[Path]:
        """The shards."""
        return self.store.paths

    def as_parent(self) -> dict[str, Any]:
        """How the shards were made."""
        return self.store.as_parent()

    def steps(self, video_id: str) -> int:
        """F of a video."""
        return self.store.info(video_id).length

    def read(self, video_id: str, start: int, stop: int) -> Tensor:
        """Steps start to stop - 1: (D, stop - start) float32."""
        maps = self.store.read(video_id, start, stop, [self.key])[self.key]
        return maps.float().mean((2, 3))


class FolderSteps:
    """A folder of <video_id>.npy, each (F, 1, 1, D) or (F, D), as I3D is published."""

    def __init__(self, folder: str | Path) -> None:
        """List the folder.

        Raises:
            ValueError: there is no such folder, or no .npy file in it.
        """
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise ValueError(f"no folder of features at {folder} (head.external)")
        self._files = {path.stem: path for path in sorted(self.folder.glob("*.npy"))}
        self._steps: dict[str, int] = {}  # of the files that were opened
        if not self._files:
            raise ValueError(f"{folder} (head.external) holds no .npy file")

    @cached_property
    def width(self) -> int:
        """D."""
        return int(self._open(next(iter(self._files))).shape[-1])

    @property
    def video_ids(self) -> list[str]:
        """The videos that have features, sorted."""
        return list(self._files)

    @property
    def identity(self) -> dict[str, Any]:
        """Width, names and sizes of the files: their content is too large to hash."""
        sizes = [f"{name} {path.stat().st_size}" for name, path in self._files.items()]
        return {"width": self.width, "files": sha256_text("\n".join(sizes))}

    @property
    def paths(self) -> list[Path]:
        """None: they are too many."""
        return []

    def as_parent(self) -> dict[str, Any]:
        """Names and sizes of the folder's files."""
        return {"path": str(self.folder), "listing": listing(self.folder)}

    def steps(self, video_id: str) -> int:
        """F of a video."""
        if video_id not in self._steps:
            self._steps[video_id] = len(self._open(video_id))
        return self._steps[video_id]

    def read(self, video_id: str, start: int, stop: int) -> Tensor:
        """Steps start to stop - 1: (D, stop - start) float32.

        Raises:
            ValueError: the file is missing, of another shape or width, too short, or
                holds numbers that are not finite.
        """
        array = self._open(video_id)
        if not 0 <= start <= stop <= len(array):
            raise ValueError(
                f"{self._files[video_id]} has steps 0 to {len(array) - 1}, asked for"
                f" {start} to {stop - 1}"
            )
        if array.shape[-1] != self.width:
            raise ValueError(
                f"{self._files[video_id]} has {array.shape[-1]} features for each step,"
                f" others have {self.width}"
            )
        rows = np.array(array[start:stop], np.float32).reshape(-1, self.width)
        if not np.isfinite(rows).all():
            raise ValueError(f"{self._files[video_id]} has numbers that are not finite")
        return torch.from_numpy(rows).T

    def _open(self, video_id: str) -> np.ndarray:
        if video_id not in self._files:
            raise ValueError(f"no features at {self.folder / video_id}.npy")
        path = self._files[video_id]
        try:
            array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise ValueError(f"{path} is not a NumPy array: {error}") from None
        flat = array.ndim == 2 or (array.ndim == 4 and array.shape[1:3] == (1, 1))
        if not flat or not len(array):
            raise ValueError(
                f"{path} must be (F, 1, 1, D) or (F, D) with F at least 1, is"
                f" {array.shape}"
            )
        return array


def refuse_missing(features: StepFeatures, video_ids: Collection[str]) -> None:
    """See that all videos have features.

    Raises:
        ValueError: some have none; they are listed.
    """
    absent = sorted(set(video_ids) - set(features.video_ids))
    if absent:
        more = f", ... and {len(absent) - SHOWN} more" if len(absent) > SHOWN else ""
        raise ValueError(
            f"{len(absent)} of {len(video_ids)} videos have no features:"
            f" {', '.join(absent[:SHOWN])}{more}. Extract them, or list the videos in"
            " data.exclude"
        )
