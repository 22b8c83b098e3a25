"""Reads the packed frames of the videos of a data set (`frame_shard.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssdet.data.coded_frames import read_jpegs, read_packets
from ssdet.data.frame_shard import FORMAT, VERSION
from ssdet.data.hdf5 import damage
from ssdet.data.picture_size import PIXELS
from ssdet.data.shard_folder import Kind, ShardFolder

REMEDY = "run extract_frames again"
FACTS = ("fps", "duration_s", "height", "width")
KIND = Kind("frames", FORMAT, VERSION, "offsets", "first", "frames", FACTS, REMEDY)
CPU = torch.device("cpu")
WHOLE = (slice(None), slice(None))  # of a frame


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
        self._gop: int | None = self.attributes.get("gop")  # of video; JPEG has none

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
        part: tuple[slice, slice] = WHOLE,
    ) -> Tensor:
        """Decode frames of a video.

        Args:
            video_id: the video.
            indices: n frames from 0, in any order; each is decoded once.
            device: where to decode; the result lies there.
            part: rows and columns of a frame that are wanted.

        Returns:
            RGB (3, n, H, W), uint8; in memory (n, H, W, 3), in which it is decoded
            and which resizing likes best.

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
        if info.height * info.width > PIXELS:
            raise ValueError(
                f"{self.folder}: frames of video {video_id} have {info.height} x"
                f" {info.width} pixels, no frame has so many; {REMEDY}"
            )
        rows, columns = (
            len(range(*side.indices(length)))
            for side, length in zip(part, (info.height, info.width), strict=True)
        )
        frames = torch.empty((0, rows, columns, 3), dtype=torch.uint8, device=device)
        if wanted:
            frames = self._decoded(frames, video_id, wanted, part)
        return frames.permute(3, 0, 1, 2)  # (3, n, H, W)

    def _decoded(
        self,
        none: Tensor,
        video_id: str,
        wanted: list[int],
        part: tuple[slice, slice],
    ) -> Tensor:
        """Decode frames, and copy their part as soon as it is decoded.

        Args:
            none: like the result (n, H, W, 3), of no frames.
            video_id: the video.
            wanted: frames of it; at least one.
            part: of a frame.
        """
        shard, row = self._shards.find(video_id)
        data = partial(self._shards.data, shard)
        size = (int(row["height"]), int(row["width"]))
        with damage(self.folder / shard, REMEDY):
            if self._gop is None:
                sums = self._shards.optional(shard, "checksums")
                coded = read_jpegs(data, int(row["first"]), wanted, sums)
            else:
                coded = read_packets(data, int(row["first"]), wanted, self._gop)
        frames = none
        try:
            pictures = coded.decode(size, none.device)
            for picture, positions in zip(pictures, coded.positions, strict=True):
                if frames is none:  # only once a frame is known to be so large
                    frames = none.new_empty((len(wanted), *none.shape[1:]))
                frames[positions[0]] = picture[part]
                for position in positions[1:]:
                    frames[position] = frames[positions[0]]
        except (ValueError, RuntimeError, TypeError) as error:
            raise ValueError(
                f"{self.folder / shard}: a frame of video {video_id} cannot be decoded"
                f" ({error}); {REMEDY}"
            ) from None
        return frames
