"""Features that another program made: one file for each video.

<video_id>.csv has a header, then a row for each snippet; <video_id>.npy is an array
(snippets, channels), or (snippets, 1, 1, channels) as I3D is published. A name may have
v_ in front where the annotation has not, or not.

Source: spec of SPOT, section 3.1.
"""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssdet.config import canonical_json
from ssdet.data.label_splits import text_of
from ssdet.data.snippets import covered_s
from ssdet.files import sha256_text
from ssdet.provenance import listing

SUFFIXES = (".csv", ".npy")


class FeatureFiles:
    """Reads a folder of features.

    Attributes:
        folder: where they lie.
    """

    def __init__(self, folder: Path, table: Path | None = None) -> None:
        """List the files.

        Args:
            folder: holds them, and nothing is searched below it.
            table: see `read_video_table`; without it, features cover the whole video.

        Raises:
            ValueError: there is no file, a video has two, or the table is another.
        """
        self.folder = folder
        self._files: dict[str, Path] = {}
        if not folder.is_dir():
            raise ValueError(
                f"no folder of features at {folder} (spot.features.folders)"
            )
        for path in sorted(folder.iterdir()):
            if path.suffix not in SUFFIXES:
                continue
            other = self._files.setdefault(path.stem.removeprefix("v_"), path)
            if other != path:
                raise ValueError(
                    f"{other} and {path} are both of one video; remove one"
                )
        if not self._files:
            raise ValueError(
                f"{folder} (spot.features.folders) has no {' or '.join(SUFFIXES)} file"
            )
        self._table = {} if table is None else read_video_table(table)

    def __contains__(self, video_id: str) -> bool:
        return video_id.removeprefix("v_") in self._files

    @property
    def identity(self) -> str:
        """A hash of the files' names and sizes; they are too many to read."""
        sizes = {path.name: path.stat().st_size for path in self._files.values()}
        return sha256_text(canonical_json([sizes, self._table]))

    def as_parent(self) -> dict[str, Any]:
        """What a record says of them: names and sizes of the folder's files."""
        return {"path": str(self.folder), "listing": listing(self.folder)}

    def read(self, video_id: str) -> Tensor:
        """The features (L, C) of a video, float32.

        Raises:
            ValueError: the file is not such an array, or has numbers that are not
                finite.
        """
        path = self._files[video_id.removeprefix("v_")]
        try:
            if path.suffix == ".npy":
                array = np.load(path, allow_pickle=False)
            else:
                with warnings.catch_warnings():  # of an empty file, refused below
                    warnings.simplefilter("ignore")
                    array = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
            array = np.asarray(array, dtype=np.float32)
        except (ValueError, OSError) as error:
            raise ValueError(f"{path} cannot be read as features: {error}") from None
        if array.ndim == 4 and array.shape[1:3] == (1, 1):
            array = array[:, 0, 0]
        if array.ndim != 2 or not array.size:
            raise ValueError(
                f"{path} should hold features (snippets, channels), has shape"
                f" {array.shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{path} has features that are not finite numbers")
        return torch.from_numpy(array)

    def covered_s(self, video_id: str, duration_s: float) -> float:
        """Seconds that the features of a video cover, of so many."""
        facts = self._table.get(video_id.removeprefix("v_"))
        if facts is None:
            return duration_s
        return covered_s(duration_s, facts.feature_frames, facts.frames)


class VideoFacts(NamedTuple):
    """A row of a table of videos: its frames, those of its features, its seconds."""

    frames: int
    feature_frames: int
    seconds: float


def read_video_table(path: Path) -> dict[str, VideoFacts]:
    """Read a table of videos, as it is published with features of ActivityNet.

    Args:
        path: csv, plain or .gz, with the columns video, numFrame, featureFrame (frames
            that the features were made of) and seconds.

    Returns:
        By id without v_.

    Raises:
        ValueError: a column is missing, or a cell is no number.
    """
    rows = list(csv.DictReader(text_of(path).splitlines()))
    try:
        return {
            row["video"].removeprefix("v_"): VideoFacts(
                int(row["numFrame"]), int(row["featureFrame"]), float(row["seconds"])
            )
            for row in rows
        }
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path} (spot.features.tables) should have the columns video, numFrame,"
            f" featureFrame and seconds, all numbers but the first: {error}"
        ) from None
