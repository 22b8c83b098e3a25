"""Where a two-stream detector sampled each video: a part of its file of predictions.

    /grid/end_s       (S,) float64, time within its video at which each step ends
    /grid/confidence  (S,) float32, in [0, 1]: of each step's share of the video
    /grid/index       video_id, offset (first step), length (steps); sorted by video_id

A video of L steps is read at L + 1 times: at 0, and where each step ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import h5py
import numpy as np
import numpy.typing as npt

from ssdet.data.checksums import seal, sealed
from ssdet.data.hdf5 import read_index, set_attributes

GROUP = "grid"


@dataclass(frozen=True)
class Sampling:
    """The frames that Grid Pool chose in one video.

    Attributes:
        times_s: (L + 1,) float64, of the frames; from 0 on, not falling.
        confidence: (L,) float32, in [0, 1], of L even parts of the video. The higher
            that of a part, the shorter the step of the same number.
    """

    times_s: npt.NDArray[np.float64]
    confidence: npt.NDArray[np.float32]

    def problem(self) -> str | None:
        """What is wrong with it, if anything."""
        steps, times_s = len(self.confidence), self.times_s
        if not steps or times_s.shape != (steps + 1,) or self.confidence.ndim != 1:
            return (
                "grid must have times_s (L + 1,) and confidence (L,), got"
                f" {times_s.shape} and {self.confidence.shape}"
            )
        if not np.isfinite(times_s).all() or times_s[0] or (np.diff(times_s) < 0).any():
            return "the times of its grid must begin at 0 and not fall"
        if not ((self.confidence >= 0) & (self.confidence <= 1)).all():
            return "the confidence of its grid must lie in [0, 1]"
        return None


def write_grids(file: h5py.File, grids: Mapping[str, Sampling]) -> None:
    """Write the group; nothing if there is no grid."""
    if not grids:
        return
    names = sorted(grids)
    lengths = [len(grids[name].confidence) for name in names]
    offsets = np.cumsum([0, *lengths[:-1]])
    encoded = [name.encode() for name in names]
    kinds = [("video_id", f"S{max(map(len, encoded))}"), ("offset", "i8")]
    rows = list(zip(encoded, offsets, lengths, strict=True))
    group = file.create_group(GROUP)
    group["index"] = np.array(rows, dtype=[*kinds, ("length", "i4")])
    seal(group["index"])
    ends = np.concatenate([grids[name].times_s[1:] for name in names])
    group["end_s"] = ends.astype(np.float64)
    seal(group["end_s"])
    set_attributes(group["end_s"], {"unit": "s"})
    confidence = np.concatenate([grids[name].confidence for name in names])
    group["confidence"] = confidence.astype(np.float32)
    seal(group["confidence"])


def read_grid(file: h5py.File, video_id: str) -> Sampling | None:
    """The grid of a video; None if the file says nothing of it.

    Raises:
        ValueError: what it says is not possible.
        OSError: the grids are damaged.
    """
    if GROUP not in file:
        return None
    group = file[GROUP]
    index = read_index(group, "offset", "length")
    sealed(group["index"])
    place = np.flatnonzero(index["video_id"] == video_id.encode())
    if not place.size:
        return None
    offset, length = (int(index[name][place[0]]) for name in ("offset", "length"))
    ends, confidence = sealed(group["end_s"]), sealed(group["confidence"])
    sampling = Sampling(
        np.concatenate([[0.0], ends[offset : offset + length]]),
        confidence[offset : offset + length],
    )
    if problem := sampling.problem():
        raise ValueError(f"video {video_id}: {problem}")
    return sampling
