"""Writes the packed frames of a shard of videos: coded bytes in one HDF5 file.

    /jpeg     (bytes,) uint8, the JPEG files of all frames, one after the other; or
    /packets  (bytes,) uint8, the packets of short-GOP video (`short_gop.py`)
    /offsets  (N,) int64, first byte of each frame; frames that show the same picture
              share their bytes
    /lengths  (N,) int32, bytes of each frame
    /checksums  (N,) uint32, CRC-32 of these bytes
    /index    video_id, first (row of its first frame), frames, fps, duration_s, height,
              width; sorted by video_id

Root attributes: what `hdf5.py` says, `axes`, and how the frames were made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ssdet.data.checksums import crc32, seal
from ssdet.data.hdf5 import set_attributes
from ssdet.data.hdf5_file import create
from ssdet.files import atomic

FORMAT, VERSION = "ssdet_frames", 1
VIDEO = "video"  # the attribute `storage`; shards of JPEG have none
COPIED = 1 << 24  # bytes that are copied at a time


@dataclass(frozen=True)
class PackedVideo:
    """The coded frames of one video, still in a file of their own.

    Attributes:
        video_id: its name.
        file: JPEG bytes, or packets.
        offsets: (n,) int64, first byte of each frame in `file`.
        lengths: (n,) int32, bytes of each frame.
        fps: frames/s at which the n frames lie.
        duration_s: of the video.
        height: pixels.
        width: pixels.
        checksums: (n,) uint32, CRC-32 of each packet; None: JPEG.
    """

    video_id: str
    file: Path
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int32]
    fps: float
    duration_s: float
    height: int
    width: int
    checksums: NDArray[np.uint32] | None = None


def write_frames(
    path: str | Path,
    videos: Sequence[PackedVideo],
    attributes: Mapping[str, Any],
    provenance: Callable[[], Mapping[str, Any]],
) -> None:
    """Write one shard, whole or not at all.

    Args:
        path: the HDF5 file.
        videos: sorted by video_id; may be none.
        attributes: root attributes that tell how the frames were made.
        provenance: gives the provenance block; called last.

    Raises:
        OSError: the file cannot be written.
    """
    sizes = [video.file.stat().st_size for video in videos]
    counts = [len(video.offsets) for video in videos]
    with atomic(path) as temporary, create(temporary) as file:
        set_attributes(file, {"format": FORMAT, "version": VERSION, **attributes})
        set_attributes(file, {"axes": "THWC"})
        packets = attributes.get("storage") == VIDEO
        coded = "packets" if packets else "jpeg"
        data = file.create_dataset(coded, (sum(sizes),), np.uint8)
        offsets = file.create_dataset("offsets", (sum(counts),), np.int64)
        lengths = file.create_dataset("lengths", (sum(counts),), np.int32)
        sums = file.create_dataset("checksums", (sum(counts),), np.uint32)
        start = first = 0
        index = []
        for video, size, count in zip(videos, sizes, counts, strict=True):
            _copy(video.file, data, start)
            offsets[first : first + count] = video.offsets + start
            lengths[first : first + count] = video.lengths
            known = video.checksums
            sums[first : first + count] = _sums(video, size) if known is None else known
            name = video.video_id.encode()
            shape = (video.height, video.width)
            index.append((name, first, count, video.fps, video.duration_s, *shape))
            start, first = start + size, first + count
            file.see_written()
        file["index"] = np.array(index, _index_type(videos))
        seal(file["index"])
        set_attributes(file["index"], {"unit": "duration_s in s, fps in 1/s"})
        set_attributes(file, {"provenance": dict(provenance()), "complete": True})


def _copy(source: Path, target: h5py.Dataset, start: int) -> None:
    with open(source, "rb") as file:
        while data := file.read(COPIED):
            target[start : start + len(data)] = np.frombuffer(data, np.uint8)
            start += len(data)


def _sums(video: PackedVideo, size: int) -> list[int]:
    """Checksum of each frame; frames with the same bytes cost one."""
    data = np.memmap(video.file, np.uint8, "r") if size else np.empty(0, np.uint8)
    places = list(zip(video.offsets.tolist(), video.lengths.tolist(), strict=True))
    known = {(at, length): crc32(data[at : at + length]) for at, length in set(places)}
    return [known[place] for place in places]


def _index_type(videos: Sequence[PackedVideo]) -> np.dtype[np.void]:
    longest = max([1, *(len(video.video_id.encode()) for video in videos)])
    return np.dtype(
        [
            ("video_id", f"S{longest}"),
            ("first", np.int64),
            ("frames", np.int32),
            ("fps", np.float64),
            ("duration_s", np.float64),
            ("height", np.int32),
            ("width", np.int32),
        ]
    )
