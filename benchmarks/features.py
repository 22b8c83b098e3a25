"""Writing and reading cached feature maps: the chosen layout against others.

    OMP_NUM_THREADS=1 python benchmarks/features.py [FOLDER]

A shard of 16 videos of X3D-M's five maps in float16 (5.6 MB for 72 frames), half of the
values zero as behind a ReLU, is written to FOLDER (default: a temporary one) in each
layout, and read with the same reader: whole videos, and random windows of 16 frames.
Layouts take turns. What counts are the ratios, medians of several rounds; half the
distance between the quartiles is shown behind. `warm` reads come from the page cache;
they and `write` (the disk not included) are in processor time. `cold` reads follow a
request to the system to forget the file (posix_fadvise) and are in time on the clock,
which neighbours stretch. All layouts are first compared, value by value.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch

from ssdet.data.feature_shard import FORMAT, VERSION
from ssdet.data.feature_store import FeatureStore, VideoFeatures, write_features
from ssdet.data.hdf5 import set_attributes
from ssdet.data.hdf5_file import create
from ssdet.files import atomic

ROUNDS = 7
VIDEOS, WINDOW, WINDOWS, CHUNK = 16, 16, 64, 16
CHANNELS = {"layer1": 24, "layer2": 48, "layer3": 96, "layer4": 192, "conv5": 432}
KEYS = tuple(CHANNELS)
LAYOUTS = ("contiguous", "chunked", "lzf", "gzip")
MEASURES = ("write", "videos, warm", "windows, warm", "videos, cold", "windows, cold")


def make_videos() -> list[VideoFeatures]:
    """Videos of 60 to 84 frames, exact in float16."""
    source = np.random.default_rng(0)
    videos = []
    for number in range(VIDEOS):
        frames = int(source.integers(60, 85))
        maps = {
            key: np.maximum(source.standard_normal((frames, width, 7, 7)), 0).astype(
                np.float16
            )
            for key, width in CHANNELS.items()
        }
        logits = source.standard_normal((frames, 157)).astype(np.float32)
        videos.append(VideoFeatures(f"v{number:02d}", maps, logits, 10 * frames, 1.0))
    return videos


def write(path: Path, videos: list[VideoFeatures], layout: str) -> None:
    """Write a shard, to the disk."""
    compression = layout if layout in ("lzf", "gzip") else None
    rows = sum(len(video.logits) for video in videos)
    if layout != "chunked":
        write_features(path, videos, rows, {}, "float16", compression, dict)
        return
    with atomic(path) as temporary, create(temporary) as file:
        marks = {"format": FORMAT, "version": VERSION, "complete": True}
        set_attributes(file, marks)
        write_chunks(file, videos, rows)


def write_chunks(file: h5py.File, videos: list[VideoFeatures], rows: int) -> None:
    """The same data in chunks of 16 frames, uncompressed."""
    index, row = [], 0
    for video in videos:
        for key, values in [*video.maps.items(), ("logits", video.logits)]:
            if key not in file:
                chunks = (CHUNK, *values.shape[1:])
                file.create_dataset(
                    key, (rows, *values.shape[1:]), values.dtype, chunks=chunks
                )
            assert np.isfinite(values).all()  # as write_features sees to it
            file[key][row : row + len(values)] = values
        frames = len(video.logits)
        index.append((video.video_id.encode(), row, frames, video.n_frames, 1.0))
        row += frames
    file["index"] = np.array(
        index,
        [
            ("video_id", "S3"),
            ("offset", "i8"),
            ("length", "i4"),
            ("n_frames", "i4"),
            ("duration", "f8"),
        ],
    )


def check(folder: Path, videos: list[VideoFeatures]) -> None:
    """See that a layout gives back every value."""
    store = FeatureStore(folder)
    for video in videos:
        found = store.read(video.video_id, 0, len(video.logits), KEYS)
        for key in KEYS:
            assert np.array_equal(found[key].transpose(0, 1).numpy(), video.maps[key])


def read_videos(store: FeatureStore) -> int:
    """Read every video; returns bytes."""
    size = 0
    for name in store.video_ids:
        maps = store.read(name, 0, store.info(name).length, KEYS)
        size += sum(x.nbytes for x in maps.values())
    return size


def read_windows(store: FeatureStore) -> int:
    """Read windows of random videos; returns bytes."""
    source = np.random.default_rng(1)
    size = 0
    for _ in range(WINDOWS):
        name = store.video_ids[source.integers(VIDEOS)]
        start = int(source.integers(store.info(name).length - WINDOW + 1))
        maps = store.read(name, start, start + WINDOW, KEYS)
        size += sum(x.nbytes for x in maps.values())
    return size


def forget(path: Path) -> None:
    """Ask the system to drop the file from its page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def timed(function: Callable[[], object], clock: Callable[[], float]) -> float:
    """Seconds of one call."""
    begun = clock()
    function()
    return clock() - begun


def measure(folder: Path, videos: list[VideoFeatures], layout: str) -> dict[str, float]:
    """Seconds of every measure, once."""
    path = folder / "shard-000.h5"
    seconds = {"write": timed(lambda: write(path, videos, layout), time.process_time)}
    for state, clock in (("cold", time.perf_counter), ("warm", time.process_time)):
        for what, read in (("videos", read_videos), ("windows", read_windows)):
            store = FeatureStore(folder)
            if state == "cold":
                forget(path)
            seconds[f"{what}, {state}"] = timed(partial(read, store), clock)
    return seconds


def spread(values: list[float]) -> float:
    """Half the distance between the quartiles."""
    low, _, high = statistics.quantiles(values, n=4)
    return (high - low) / 2


def main() -> None:
    """Print one line for each measure and layout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    versions = f"h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()},", end=" ")
    print(f"load {os.getloadavg()[0]:.1f}, {versions},")
    print(f"torch {torch.__version__}, NumPy {np.__version__}, one thread")
    videos = make_videos()
    with tempfile.TemporaryDirectory(dir=args.folder) as root:
        folders = {layout: Path(root) / layout for layout in LAYOUTS}
        size = 0
        for layout, folder in folders.items():
            folder.mkdir()
            write(folder / "shard-000.h5", videos, layout)
            check(folder, videos)
            size = read_videos(FeatureStore(folder))
        rounds = [
            {layout: measure(folders[layout], videos, layout) for layout in LAYOUTS}
            for _ in range(ROUNDS)
        ]
        files = {
            layout: (folder / "shard-000.h5").stat().st_size / size
            for layout, folder in folders.items()
        }
    per = {name: size for name in MEASURES}  # bytes
    window = sum(CHANNELS.values()) * 49 * 2 * WINDOW
    per |= {name: WINDOWS * window for name in MEASURES if "windows" in name}
    result: dict[str, dict[str, list[float]]] = {}
    print(f"{size / 1e6:.0f} MB a shard; MB/s +- spread, and times the chosen layout's")
    print(f"{'':16}" + "".join(f"{layout:>24}" for layout in LAYOUTS))
    print(f"{'size':16}" + "".join(f"{files[layout]:24.2f}" for layout in LAYOUTS))
    for name in MEASURES:
        line, ours = f"{name:16}", 0.0
        for layout in LAYOUTS:
            rates = [per[name] / 1e6 / r[layout][name] for r in rounds]
            rate = statistics.median(rates)
            ours = ours or rate
            line += f"{rate:9.0f} +-{spread(rates):5.0f}{ours / rate:6.1f} x"
            result.setdefault(name, {})[layout] = rates
        print(line)
    if args.json:
        args.json.write_text(json.dumps({"size": files, "mb_per_s": result}, indent=1))


if __name__ == "__main__":
    main()
