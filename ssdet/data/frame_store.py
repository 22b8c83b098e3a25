"""Reads the packed frames of the videos of a data set (`frame_shard.py`)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssdet.data.checksums import crc32, mismatch
from ssdet.data.frame_shard import FORMAT, VERSION
from ssdet.data.hdf5 import damage
from ssdet.data.shard_folder import Kind, ShardFolder

REMEDY = "run extract_frames again"
KIND = Kind("frames", FORMAT, VERSION, "offsets", "first", "frames", REMEDY)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class FrameInfo:
    """What is stored of a video; `frames` frames, i is shown at (i + 0.5) / fps."""

    frames: int
    fps: float
    duration_s: float
    height: int
    width: int


class FrameStore:
    """Reads the frames of the videos of a data set.

    Safe in DataLoader workers, forked or spawned: each process opens its own files.
    """

    def __init__(self, folder: str | Path, names: Sequence[str] | None = None) -> None:
        """Read the index of the shards.

        Args:
            folder: holds shard-000.h5, shard-001.h5, ...
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
        """The videos that have frames, sorted."""
        return self._shards.video_ids

    def info(self, video_id: str) -> FrameInfo:
        """What is stored of a video.

        Raises:
            ValueError: nothing is.
        """
        row = self._shards.find(video_id)[1]
        return FrameInfo(
            int(row["frames"]),
            float(row["fps"]),
            float(row["duration_s"]),
            int(row["height"]),
            int(row["width"]),
        )

    def read(
        self,
        video_id: str,
        indices: Sequence[int] | Tensor,
        device: torch.device = CPU,
    ) -> Tensor:
        """Decode frames of a video.

        Args:
            video_id: the video.
            indices: n frames from 0, in any order; each is decoded once.
            device: where to decode; the result lies there.

        Returns:
            RGB (3, n, H, W), uint8.

        Raises:
            ValueError: there is no such video or frame, or its bytes are damaged.
        """
        info = self.info(video_id)
        wanted = torch.as_tensor(indices, dtype=torch.long).flatten().tolist()
        wrong = sorted({i for i in wanted if not 0 <= i < info.frames})
        if wrong:
            raise ValueError(
                f"video {video_id} has frames 0 to {info.frames - 1}, asked for"
                f" {', '.join(map(str, wrong[:20]))}"
            )
        size = (3, len(wanted), info.height, info.width)
        video = torch.empty(size, dtype=torch.uint8, device=device)
        if not wanted:
            return video
        shard, row = self._shards.find(video_id)
        first, lowest = int(row["first"]), min(wanted)
        rows = slice(first + lowest, first + max(wanted) + 1)
        columns: dict[tuple[int, int], list[int]] = {}  # bytes -> where they are shown
        with damage(self.folder / shard, REMEDY):
            offsets = self._shards.data(shard, "offsets")[rows].tolist()
            lengths = self._shards.data(shard, "lengths")[rows].tolist()
            for column, index in enumerate(wanted):
                place = (offsets[index - lowest], lengths[index - lowest])
                columns.setdefault(place, []).append(column)
            jpeg = self._shards.data(shard, "jpeg")
            encoded = []
            sums = self._shards.checksums(shard, rows)
            for (start, length), shown_at in columns.items():
                data = jpeg[start : start + length]
                if sums is not None and sums[wanted[shown_at[0]] - lowest] != crc32(
                    data
                ):
                    raise mismatch(f"a frame of video {video_id}")
                encoded.append(torch.from_numpy(data))
        pictures = self._decode(encoded, video_id, shard, device)
        for picture, shown_at in zip(pictures, columns.values(), strict=True):
            for column in shown_at:
                video[:, column] = picture
        return video

    def _decode(
        self, encoded: list[Tensor], video_id: str, shard: str, device: torch.device
    ) -> list[Tensor]:
        from torchvision.io import ImageReadMode, decode_jpeg

        try:
            with warnings.catch_warnings():
                # torchvision advises another package, which needs ffmpeg's libraries.
                warnings.simplefilter("ignore", DeprecationWarning)
                if device.type == "cuda":
                    return decode_jpeg(encoded, mode=ImageReadMode.RGB, device=device)
                return [decode_jpeg(data, mode=ImageReadMode.RGB) for data in encoded]
        except RuntimeError as error:
            raise ValueError(
                f"{self.folder / shard}: a frame of video {video_id} cannot be decoded"
                f" ({error}); {REMEDY}"
            ) from None
