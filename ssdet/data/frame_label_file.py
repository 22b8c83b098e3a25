"""Labels over time of videos that nobody labelled so, in one HDF5 file.

    /labels  (M, K) uint8, videos one after the other, each (T, K); 1: shows the class
    /index   video_id, offset (first row), length (T), step_s; sorted by video_id

Row t of a video covers [t, t + 1) * step_s seconds. The root attributes name the data
set, the classes and the checkpoint that gave the labels; `complete` is the last one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ssdet.data.hdf5 import get_attributes, open_complete, set_attributes
from ssdet.files import atomic

FORMAT, VERSION = "ssdet_frame_labels", 1
NEARLY = 1e-9  # rows; a time on the border of two rows is of the later one

Labels = npt.NDArray[np.uint8]
Steps = tuple[npt.ArrayLike, float]


def write_frame_labels(
    path: str | Path,
    videos: Mapping[str, Steps],
    *,
    dataset: str,
    classes: Sequence[str],
    checkpoint_sha256: str,
    provenance: Mapping[str, Any],
) -> None:
    """Write the labels of all videos.

    Args:
        path: the HDF5 file.
        videos: labels (T, K) of 0 and 1, and seconds of a row, of each; at least one.
        dataset: name of the data set.
        classes: the K class names.
        checkpoint_sha256: of the checkpoint that gave the labels.
        provenance: the provenance block.

    Raises:
        ValueError: labels are not (T, K) of 0 and 1, or a step is not above 0.
    """
    index, rows, offset = [], [], 0
    for video_id in sorted(videos):
        labels, step_s = np.asarray(videos[video_id][0]), float(videos[video_id][1])
        if labels.ndim != 2 or labels.shape[1] != len(classes) or not len(labels):
            raise ValueError(
                f"video {video_id}: labels must be (T, {len(classes)}), got"
                f" {labels.shape}"
            )
        if not np.isin(labels, (0, 1)).all() or not step_s > 0:
            raise ValueError(
                f"video {video_id}: labels must be 0 or 1, each row above 0 s"
            )
        index.append((video_id.encode(), offset, len(labels), step_s))
        rows.append(labels.astype(np.uint8))
        offset += len(labels)
    width = max(len(row[0]) for row in index)
    kinds = [("video_id", f"S{width}"), ("offset", "i8"), ("length", "i4")]
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        attributes = {
            "format": FORMAT,
            "version": VERSION,
            "axes": "TK",
            "dataset": dataset,
            "classes": list(classes),
            "checkpoint_sha256": checkpoint_sha256,
        }
        set_attributes(file, attributes)
        file.create_dataset("labels", data=np.concatenate(rows), compression="gzip")
        file["index"] = np.array(index, dtype=[*kinds, ("step_s", "f8")])
        set_attributes(file, {"provenance": dict(provenance), "complete": True})


class FrameLabels:
    """The labels of all videos, in memory.

    Attributes:
        path: the file.
        classes: the K class names.
        provenance: the provenance block.
        video_ids: sorted.
    """

    def __init__(self, path: str | Path) -> None:
        """Read a file.

        Raises:
            ValueError: the file is absent, not complete or not one of frame labels.
        """
        self.path = Path(path)
        with open_complete(
            self.path, FORMAT, VERSION, "run label_frames again"
        ) as file:
            attributes = get_attributes(file)
            self._labels: Labels = file["labels"][:]
            self._index = {
                row["video_id"].decode(): (
                    int(row["offset"]),
                    int(row["length"]),
                    float(row["step_s"]),
                )
                for row in file["index"][:]
            }
        self.classes: tuple[str, ...] = tuple(attributes["classes"])
        self.provenance: dict[str, Any] = attributes["provenance"]
        self.video_ids = sorted(self._index)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._index

    def at(self, video_id: str, times_s: npt.ArrayLike) -> Labels:
        """What a video shows at some times (N,): (N, K), 0 or 1; nothing after its end.

        Raises:
            KeyError: the file has no such video.
        """
        if video_id not in self._index:
            raise KeyError(f"{self.path} has no video {video_id}")
        offset, length, step_s = self._index[video_id]
        rows = np.floor(np.asarray(times_s, np.float64) / step_s + NEARLY).astype(int)
        inside = (rows >= 0) & (rows < length)
        shown = self._labels[offset + rows.clip(0, length - 1)]
        return np.asarray(shown * inside[:, None], dtype=np.uint8)
