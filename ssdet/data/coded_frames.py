"""Reads the coded bytes of frames from a shard: JPEG files, or packets of video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import h5py
import numpy as np
import torch
from torch import Tensor

from ssdet.data.checksums import crc32_of_bytes
from ssdet.data.jpeg import decode_jpegs
from ssdet.data.short_gop import decode_packets

Data = Callable[[str], h5py.Dataset]  # name -> data set of the shard
Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class CodedFrames:
    """Different pictures, not yet decoded, and where each is shown.

    Attributes:
        decode: gives RGB (H, W, 3), uint8, on a device, one after the other; the next
            one may overwrite it. Raises ValueError if bytes are damaged.
        positions: of each picture, among the frames that were asked for.
    """

    decode: Callable[[Size, torch.device], Iterator[Tensor]]
    positions: list[list[int]]


def read_jpegs(
    data: Data, first: int, wanted: list[int], sums: h5py.Dataset | None
) -> CodedFrames:
    """Read the JPEG files of frames.

    Args:
        data: of the shard.
        first: row of the video's first frame.
        wanted: frames of the video, from 0; at least one.
        sums: CRC-32 of the bytes of each frame; None: of an earlier version.
    """
    lowest = min(wanted)
    rows = slice(first + lowest, first + max(wanted) + 1)
    offsets = data("offsets")[rows].tolist()
    lengths = data("lengths")[rows].tolist()
    positions: dict[tuple[int, int], list[int]] = {}  # bytes -> where they are shown
    for position, index in enumerate(wanted):
        place = (offsets[index - lowest], lengths[index - lowest])
        positions.setdefault(place, []).append(position)
    jpeg = data("jpeg")
    files = [jpeg[start : start + length] for start, length in positions]
    shown = list(positions.values())
    stored = [] if sums is None else sums[rows]
    expected = [int(stored[wanted[at[0]] - lowest]) for at in shown if len(stored)]

    def decode(size: Size, device: torch.device) -> Iterator[Tensor]:
        if expected and expected != list(map(crc32_of_bytes, files)):
            raise ValueError("its bytes are not those that were written")
        yield from decode_jpegs(files, size, device)

    return CodedFrames(decode, shown)


def read_packets(data: Data, first: int, wanted: list[int], gop: int) -> CodedFrames:
    """Read the packets of frames, and of those that they need.

    Args:
        data: of the shard.
        first: row of the video's first frame.
        wanted: frames of the video, from 0; at least one.
        gop: every so many different pictures of a video there is a key picture.
    """
    rows = slice(first, first + max(wanted) + 1)
    offsets, lengths, checksums = (
        data(name)[rows] for name in ("offsets", "lengths", "checksums")
    )
    new = np.diff(offsets, prepend=-1) != 0  # not the picture of the frame before
    number = np.cumsum(new) - 1  # of each frame's picture
    offsets, lengths, checksums = offsets[new], lengths[new], checksums[new]
    positions: dict[int, list[int]] = {}  # picture -> where it is shown
    for position, index in sorted(enumerate(wanted), key=lambda pair: pair[1]):
        positions.setdefault(int(number[index]), []).append(position)
    last = {picture // gop: picture for picture in positions}  # of each group
    packets: list[bytes] = []
    for group, end in last.items():
        pictures = range(group * gop, end + 1)
        start = int(offsets[pictures[0]])
        stretch = data("packets")[start : int(offsets[end] + lengths[end])].tobytes()
        for picture in pictures:
            at = int(offsets[picture]) - start
            packets.append(stretch[at : at + int(lengths[picture])])
    needed = [picture for g, end in last.items() for picture in range(g * gop, end + 1)]

    def decode(size: Size, device: torch.device) -> Iterator[Tensor]:
        for packet, picture in zip(packets, needed, strict=True):
            if crc32_of_bytes(packet) != checksums[picture]:
                raise ValueError("its bytes are not those that were written")
        for shown in decode_packets(packets, [p in positions for p in needed], size):
            yield torch.from_numpy(shown).to(device)

    return CodedFrames(decode, list(positions.values()))
