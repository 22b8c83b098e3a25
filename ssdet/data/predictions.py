"""Clip-rate logits of every test video of one model, in one HDF5 file.

    /logits   (M, K) float32, videos one after the other, each (T, K)
    /times_s  (M,) float64, time of each row within its video
    /index    video_id, offset (first row), length (T), crc32 (of both); sorted by
              video_id
    /grid     of a two-stream detector: where it sampled each video; see grids.py

The root attributes name the model, its checkpoint, the data set and the classes. The
file is written whole or not at all, and `complete` is its last attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from ssdet.data.checksums import NAME, crc32, mismatch, seal, sealed
from ssdet.data.grids import Sampling, read_grid, write_grids
from ssdet.data.hdf5 import (
    damage,
    get_attributes,
    open_complete,
    read_index,
    set_attributes,
)
from ssdet.data.hdf5_file import create
from ssdet.files import atomic

FORMAT, VERSION = "ssdet_predictions", 1
CHUNK_ROWS = 256
REMEDY = "run predict again"

Logits = npt.NDArray[np.float32]
Times = npt.NDArray[np.float64]
Plain = tuple[str, npt.ArrayLike, npt.ArrayLike]
Sampled = tuple[str, npt.ArrayLike, npt.ArrayLike, Sampling]


def write_predictions(
    path: str | Path,
    videos: Iterable[Plain | Sampled],
    *,
    model: str,
    dataset: str,
    classes: Sequence[str],
    checkpoint_sha256: str,
    provenance: Callable[[], Mapping[str, Any]],
) -> None:
    """Write videos as they come; the logits of no more than one are held in memory.

    Args:
        path: the HDF5 file.
        videos: (video_id, logits (T, K), times_s (T,)) in any order; times rise. A
            fourth part may say where the detector sampled the video.
        model: name of the model.
        dataset: name of the data set.
        classes: the K class names.
        checkpoint_sha256: of the checkpoint that gave the logits.
        provenance: gives the provenance block; called after the last video, so that
            the time of the end is right.

    Raises:
        ValueError: a video comes twice or its arrays do not fit; no file is left.
        OSError: the file cannot be written.
    """
    index: dict[str, tuple[int, int, int]] = {}
    grids: dict[str, Sampling] = {}
    with atomic(path) as temporary, create(temporary) as file:
        attributes = {
            "format": FORMAT,
            "version": VERSION,
            "axes": "TK",
            "model": model,
            "dataset": dataset,
            "classes": list(classes),
            "checkpoint_sha256": checkpoint_sha256,
        }
        set_attributes(file, attributes)
        logits_set = _growing(file, "logits", (len(classes),), np.float32)
        times_set = _growing(file, "times_s", (), np.float64)
        set_attributes(times_set, {"unit": "s"})
        for video_id, logits, times_s, *grid in videos:
            if video_id in index:
                raise ValueError(f"video {video_id} was predicted twice")
            for sampling in grid:
                if problem := sampling.problem():
                    raise ValueError(f"video {video_id}: {problem}")
                grids[video_id] = sampling
            rows, times = _checked(video_id, logits, times_s, len(classes))
            index[video_id] = (len(logits_set), len(rows), crc32(rows, times))
            _append(logits_set, rows)
            _append(times_set, times)
            file.see_written()
        file["index"] = _index_table(index)
        seal(file["index"])
        write_grids(file, grids)
        set_attributes(file, {"provenance": dict(provenance()), "complete": True})


class Predictions:
    """Reads a file of predictions; the logits of a video when they are asked for.

    Attributes:
        path: the file.
        model: name of the model.
        dataset: name of the data set.
        classes: the K class names.
        checkpoint_sha256: of the checkpoint that gave the logits.
        provenance: the provenance block.
        video_ids: sorted.
    """

    def __init__(self, path: str | Path) -> None:
        """Open a file and read its index.

        Raises:
            ValueError: the file is absent, not complete or not one of predictions.
        """
        self.path = Path(path)
        self._file = open_complete(self.path, FORMAT, VERSION, REMEDY)
        try:
            with damage(self.path, REMEDY):
                self._read_header()
        except ValueError:
            self._file.close()
            raise
        self.video_ids = sorted(self._index)

    def _read_header(self) -> None:
        attributes = get_attributes(self._file)
        index = read_index(self._file, "offset", "length")
        self.model = str(attributes["model"])
        self.dataset = str(attributes["dataset"])
        self.classes: tuple[str, ...] = tuple(map(str, attributes["classes"]))
        self.checkpoint_sha256 = str(attributes["checkpoint_sha256"])
        self.provenance: dict[str, Any] = dict(attributes["provenance"])
        self._index = {
            row["video_id"].decode(): (int(row["offset"]), int(row["length"]))
            for row in index
        }
        rows = min(len(self._file["logits"]), len(self._file["times_s"]))
        for offset, length in self._index.values():
            if not (offset >= 0 and 1 <= length <= rows - offset):
                raise ValueError(f"its index does not fit the {rows} rows of /logits")
        sealed(self._file["index"])
        self._sums: dict[str, int] = {}  # of files written before there is none
        if NAME in (index.dtype.names or ()):
            names = (video_id.decode() for video_id in index["video_id"])
            self._sums = dict(zip(names, index[NAME].tolist(), strict=True))

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._index

    def __len__(self) -> int:
        return len(self._index)

    def rows(self, video_id: str) -> int:
        """Number T of clip-rate rows of a video."""
        return self._place(video_id)[1]

    def times_s(self, video_id: str) -> Times:
        """Times (T,) of the rows of a video."""
        return self[video_id][1]

    def __getitem__(self, video_id: str) -> tuple[Logits, Times]:
        """Logits (T, K) float32 and times (T,) float64 of a video.

        Raises:
            KeyError: the file has no such video.
            ValueError: its rows are damaged, or not what `write_predictions` writes.
        """
        offset, length = self._place(video_id)
        with damage(self.path, REMEDY):
            logits = np.asarray(self._file["logits"][offset : offset + length])
            times = np.asarray(self._file["times_s"][offset : offset + length])
            if self._sums.get(video_id, (sum_ := crc32(logits, times))) != sum_:
                raise mismatch(f"the rows of video {video_id}")
            return _checked(video_id, logits, times, len(self.classes))

    def sampling(self, video_id: str) -> Sampling | None:
        """Where the detector sampled a video; None if it takes all frames.

        Raises:
            KeyError: the file has no such video.
            ValueError: it is damaged.
        """
        self._place(video_id)
        with damage(self.path, REMEDY):
            return read_grid(self._file, video_id)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _place(self, video_id: str) -> tuple[int, int]:
        if video_id not in self._index:
            raise KeyError(f"{self.path} has no video {video_id}")
        return self._index[video_id]


def _checked(
    video_id: str, logits: npt.ArrayLike, times_s: npt.ArrayLike, classes: int
) -> tuple[Logits, Times]:
    rows = np.asarray(logits, dtype=np.float32)
    times = np.asarray(times_s, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != classes or times.shape != rows.shape[:1]:
        raise ValueError(
            f"video {video_id}: logits must be (T, {classes}) and times_s (T,), got"
            f" {rows.shape} and {times.shape}"
        )
    if not len(rows):
        raise ValueError(f"video {video_id} has no rows; a video has at least one")
    if not np.isfinite(rows).all():
        raise ValueError(
            f"video {video_id}: {np.count_nonzero(~np.isfinite(rows))} of {rows.size}"
            " logits are not finite numbers"
        )
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ValueError(f"video {video_id}: times_s must be finite and rise")
    return rows, times


def _growing(
    file: h5py.File, name: str, row: tuple[int, ...], dtype: npt.DTypeLike
) -> h5py.Dataset:
    return file.create_dataset(
        name, (0, *row), dtype, maxshape=(None, *row), chunks=(CHUNK_ROWS, *row)
    )


def _append(dataset: h5py.Dataset, rows: npt.NDArray[Any]) -> None:
    start = len(dataset)
    dataset.resize(start + len(rows), axis=0)
    dataset[start:] = rows


def _index_table(index: Mapping[str, tuple[int, int, int]]) -> npt.NDArray[Any]:
    names = [video_id.encode() for video_id in sorted(index)]
    width = max((len(name) for name in names), default=1)
    kinds = [("video_id", f"S{width}"), ("offset", "i8"), ("length", "i4")]
    kinds.append((NAME, "u4"))
    rows = [(name, *index[name.decode()]) for name in names]
    return np.array(rows, dtype=kinds)
