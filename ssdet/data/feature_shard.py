"""Writes the features of a shard of videos (for `feature_store.py`).

    /<key>   (M, C, H, W) float16 or float32, videos one after the other, time first
    /logits  (M, K) float32, the model's own logits
    /crc32   (M, keys + 1) uint32, of each row of the maps, by key, and of the logits
    /index   video_id, offset (first row), length (rows), n_frames, duration (seconds);
             sorted by video_id

Data sets are contiguous unless a compression is asked for: a window of a video is then
one read for each key. Source: spec of Coarse-Fine, section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ssdet.data.checksums import NAME, crc32_of_rows, seal
from ssdet.data.hdf5 import set_attributes
from ssdet.data.hdf5_file import create
from ssdet.files import atomic

FORMAT, VERSION = "coarse_fine_features", 1
CHUNK_ROWS, CHUNK_LOGITS = 32, 512
NO_MAPS = {"index", "logits", NAME}


class VideoFeatures(NamedTuple):
    """What is stored of one video.

    Attributes:
        video_id: its name.
        maps: key -> (T, C, H, W).
        logits: (T, K), the model's own, at the rate of the maps.
        n_frames: stored frames of the video.
        duration_s: of the video.
    """

    video_id: str
    maps: Mapping[str, npt.ArrayLike | Tensor]
    logits: npt.ArrayLike | Tensor
    n_frames: int
    duration_s: float


def write_features(
    path: str | Path,
    videos: Iterable[VideoFeatures | tuple[Any, ...]],
    total: int,
    attributes: Mapping[str, Any],
    dtype: str,
    compression: str | None,
    provenance: Callable[[], Mapping[str, Any]],
) -> None:
    """Write one shard, whole or not at all; no more than one video is held in memory.

    Args:
        path: the HDF5 file.
        videos: sorted by video_id; the fields of `VideoFeatures`; may be none.
        total: rows of all videos together.
        attributes: root attributes, e.g. stride, classes, checkpoint_sha256.
        dtype: float16 or float32, of the maps.
        compression: None, lzf or gzip.
        provenance: gives the provenance block; called after the last video.

    Raises:
        ValueError: the videos do not fit together, or have values beyond `dtype`; no
            file is left.
        OSError: the file cannot be written.
    """
    index: list[tuple[bytes, int, int, int, float]] = []
    row = 0
    with atomic(path) as temporary, create(temporary) as file:
        set_attributes(file, {"format": FORMAT, "version": VERSION, **attributes})
        set_attributes(file, {"axes": "TCHW", "dtype": dtype})
        for video in map(VideoFeatures._make, videos):
            length = _append(file, video, row, total, index, dtype, compression)
            entry = (video.n_frames, video.duration_s)
            index.append((video.video_id.encode(), row, length, *entry))
            row += length
            file.see_written()
            del video  # before the next one is made
        if row != total:
            raise ValueError(f"{path}: {total} rows were announced, {row} came")
        longest = max([1, *(len(entry[0]) for entry in index)])
        file["index"] = np.array(index, _index_type(longest))
        seal(file["index"])
        set_attributes(file, {"provenance": dict(provenance()), "complete": True})


def _append(
    file: h5py.File,
    video: VideoFeatures,
    row: int,
    total: int,
    index: Sequence[tuple[bytes, int, int, int, float]],
    dtype: str,
    compression: str | None,
) -> int:
    """Write the rows of a video; returns how many."""
    maps, logits = _arrays(video, dtype)
    if not index:
        _create(file, total, maps, logits, compression)
    _check(video.video_id, maps, logits, file, row, total, index)
    rows = slice(row, row + len(logits))
    for key, array in [*maps.items(), ("logits", logits)]:
        file[key][rows] = array
        file[NAME][rows, columns_of(file).index(key)] = crc32_of_rows(array)
    return len(logits)


def columns_of(keys: Iterable[str]) -> list[str]:
    """What the columns of /crc32 belong to, of the data sets of a shard."""
    return [*sorted(set(keys) - NO_MAPS), "logits"]


def _arrays(
    video: VideoFeatures, dtype: str
) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.float32]]:
    """The maps in their stored type, the logits in float32.

    Raises:
        ValueError: a value is not finite, or not in the range of the type.
    """
    maps = {}
    logits = _array(video.logits).astype(np.float32)
    with np.errstate(over="ignore"):
        for key, value in video.maps.items():
            maps[key] = _array(value).astype(dtype)
    for key, array in [*maps.items(), ("logits", logits)]:
        if not np.isfinite(array).all():
            raise ValueError(
                f"{key} of video {video.video_id} has values that are not finite as"
                f" {array.dtype}; set features.dtype to float32 or look at the model"
            )
    return maps, logits


def _array(value: npt.ArrayLike | Tensor) -> npt.NDArray[Any]:
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype == torch.bfloat16 else value
        return value.numpy()
    return np.asarray(value)


def _create(
    file: h5py.File,
    total: int,
    maps: Mapping[str, npt.NDArray[Any]],
    logits: npt.NDArray[np.float32],
    compression: str | None,
) -> None:
    """Make the data sets, shaped as in the first video."""
    for name, array in [*maps.items(), ("logits", logits)]:
        options: dict[str, Any] = {}
        if compression is not None:
            # No byte shuffle: it makes these sparse half floats larger.
            rows = CHUNK_LOGITS if name == "logits" else CHUNK_ROWS
            options["compression"] = compression
            options["chunks"] = (max(1, min(rows, total)), *array.shape[1:])
            if compression == "gzip":
                options["compression_opts"] = 1
        shape = (total, *array.shape[1:])
        created = file.create_dataset(name, shape, array.dtype, **options)
        set_attributes(created, {"layout": "TK" if name == "logits" else "TCHW"})
    file.create_dataset(NAME, (total, len(maps) + 1), np.uint32)


def _check(
    video_id: str,
    maps: Mapping[str, npt.NDArray[Any]],
    logits: npt.NDArray[np.float32],
    file: h5py.File,
    row: int,
    total: int,
    index: Sequence[tuple[bytes, int, int, int, float]],
) -> None:
    """See that a video fits to those before it."""
    if index and video_id.encode() <= index[-1][0]:
        raise ValueError(
            f"video {video_id} comes after {index[-1][0].decode()}: videos must be"
            " sorted and each come once"
        )
    keys = set(file) - NO_MAPS
    if set(maps) != keys:
        raise ValueError(
            f"video {video_id} has {', '.join(sorted(maps))}, expected"
            f" {', '.join(sorted(keys))}"
        )
    if not len(logits):
        raise ValueError(f"video {video_id} has no rows; a video has at least one")
    for key, array in [*maps.items(), ("logits", logits)]:
        expected = (len(logits), *file[key].shape[1:])
        if array.shape != expected or array.ndim != (2 if key == "logits" else 4):
            raise ValueError(
                f"{key} of video {video_id} has shape {array.shape}, expected"
                f" {expected}"
            )
    if row + len(logits) > total:
        raise ValueError(
            f"video {video_id} ends at row {row + len(logits)}, {total} rows were"
            " announced"
        )


def _index_type(longest: int) -> np.dtype[np.void]:
    return np.dtype(
        [
            ("video_id", f"S{longest}"),
            ("offset", np.int64),
            ("length", np.int32),
            ("n_frames", np.int32),
            ("duration", np.float64),
        ]
    )
