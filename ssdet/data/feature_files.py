"""Features that another program made: one file for each video.

<video_id>.csv has a header, then a row for each snippet; <video_id>.npy is an array
(snippets, channels). A name may have v_ in front where the annotation has not, or not.

Source: spec of SPOT, section 3.1.
"""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ssdet.config import canonical_json
from ssdet.data.snippets import covered_s
from ssdet.files import sha256_text

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
            table: csv with the columns video, numFrame and featureFrame: how many
                frames each video has, and the features were made of. Without it they
                cover the whole video.

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
        self._frames = {} if table is None else _read_frames(table)

    def __contains__(self, video_id: str) -> bool:
        return video_id.removeprefix("v_") in self._files

    @property
    def identity(self) -> str:
        """A hash of the files' names and sizes; they are too many to read."""
        sizes = {path.name: path.stat().st_size for path in self._files.values()}
        return sha256_text(canonical_json([sizes, self._frames]))

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
        frames = self._frames.get(video_id.removeprefix("v_"))
        return duration_s if frames is None else covered_s(duration_s, *frames)


def _read_frames(path: Path) -> dict[str, tuple[int, int]]:
    """Frames of the features and of the video, by its id without v_."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        return {
            row["video"].removeprefix("v_"): (
                int(row["featureFrame"]),
                int(row["numFrame"]),
            )
            for row in rows
        }
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path} (spot.features.tables) should have the columns video, numFrame and"
            f" featureFrame, whole numbers: {error}"
        ) from None
