"""Writing and reading cached feature maps: the chosen layout against others.

    OMP_NUM_THREADS=1 python benchmarks/features.py [FOLDER] [--json FILE]

A shard of 16 videos of X3D-M's five maps in float16 (5.6 MB for 72 frames), half of the
values zero as behind a ReLU, is written to FOLDER (default: a temporary one) in each
layout: that of the feature store; the same in chunks, or compressed; and one float32
file of `torch.save` for each map of each video, as trainings with cached features
usually keep them. All are read: whole videos, and random windows of 16 frames, for
which a file of torch is loaded whole. Layouts take turns. All are first compared, value
by value: in float16 they are the same to the bit.

*warm* reads come from the page cache; *cold* ones follow a request to the system to
forget the files (posix_fadvise), where what counts is time on the clock, which
neighbours stretch. Writing does not include the disk.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch
from side_by_side import finish, in_turn, options, show, show_facts, summary
from torch import Tensor

from ssdet.data.feature_shard import FORMAT, VERSION
from ssdet.data.feature_store import FeatureStore, VideoFeatures, write_features
from ssdet.data.hdf5 import set_attributes
from ssdet.data.hdf5_file import create
from ssdet.files import atomic

VIDEOS, WINDOW, WINDOWS, CHUNK = 16, 16, 64, 16
CHANNELS = {"layer1": 24, "layer2": 48, "layer3": 96, "layer4": 192, "conv5": 432}
KEYS = tuple(CHANNELS)
TORCH, OURS = "torch files", "contiguous"
LAYOUTS = (OURS, "chunked", "lzf", "gzip", TORCH)


class TorchFiles:
    """One float32 file for each map of each video, (T, C, H, W)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = sorted(folder.glob(f"*.{KEYS[0]}.pt"))
        self.video_ids = [path.name.split(".")[0] for path in paths]

    def read(
        self, name: str, start: int, end: int, keys: Sequence[str]
    ) -> dict[str, Tensor]:
        """Maps (C, T, H, W) of some frames, as the feature store gives them."""
        found = {}
        for key in keys:
            maps = torch.load(self.folder / f"{name}.{key}.pt")
            found[key] = maps[start:end].transpose(0, 1)
        return found


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


def write(folder: Path, videos: list[VideoFeatures], layout: str) -> None:
    """Write all videos, to the disk."""
    if layout == TORCH:
        for video in videos:
            for key, maps in video.maps.items():
                path = folder / f"{video.video_id}.{key}.pt"
                torch.save(torch.from_numpy(maps).float(), path)
        return
    path = folder / "shard-000.h5"
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


def opened(folder: Path, layout: str) -> FeatureStore | TorchFiles:
    """What reads a layout."""
    return TorchFiles(folder) if layout == TORCH else FeatureStore(folder)


def check(store: FeatureStore | TorchFiles, videos: list[VideoFeatures]) -> None:
    """See that a layout gives back every value, and windows of them."""
    for video in videos:
        frames = len(video.logits)
        for start, end in ((0, frames), (frames // 3, frames // 3 + WINDOW)):
            found = store.read(video.video_id, start, end, KEYS)
            for key in KEYS:
                maps = found[key].half().transpose(0, 1).numpy()
                assert np.array_equal(maps, video.maps[key][start:end])


def read_videos(store: FeatureStore | TorchFiles, lengths: dict[str, int]) -> None:
    """Read every video."""
    for name, frames in lengths.items():
        store.read(name, 0, frames, KEYS)


def read_windows(store: FeatureStore | TorchFiles, lengths: dict[str, int]) -> None:
    """Read windows of random videos."""
    source, names = np.random.default_rng(1), list(lengths)
    for name in (names[n] for n in source.integers(len(names), size=WINDOWS)):
        start = int(source.integers(lengths[name] - WINDOW + 1))
        store.read(name, start, start + WINDOW, KEYS)


def forget(folder: Path) -> None:
    """Ask the system to drop the files from its page cache."""
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def cold(folder: Path, read: Callable[[], None]) -> None:
    """Read what is not in memory."""
    forget(folder)
    read()


def main(argv: Sequence[str] | None = None) -> None:
    """Compare and measure."""
    parser = options(__doc__, rounds=7)
    parser.add_argument("folder", nargs="?", type=Path)
    args = parser.parse_args(argv)
    show_facts()
    print(f"HDF5 {h5py.version.hdf5_version}")
    videos = make_videos()
    lengths = {video.video_id: len(video.logits) for video in videos}
    values = sum(maps.nbytes for video in videos for maps in video.maps.values())
    results: dict[str, object] = {"hdf5": h5py.version.hdf5_version}
    with tempfile.TemporaryDirectory(dir=args.folder) as root:
        folders = {layout: Path(root) / layout for layout in LAYOUTS}
        stores, size, files = {}, {}, {}
        for layout, folder in folders.items():
            folder.mkdir()
            write(folder, videos, layout)
            stores[layout] = opened(folder, layout)
            check(stores[layout], videos)
            found = [path.stat().st_size for path in folder.iterdir()]
            size[layout], files[layout] = sum(found) / values, len(found)
        results |= {"size": size, "files": files}
        print(f"{values / 1e6:.0f} MB of float16; files, and their size over that:")
        for layout in LAYOUTS:
            print(f"{layout:16}{files[layout]:6}{size[layout]:8.2f}")
        for what, read, per in (
            ("video", read_videos, len(videos)),
            ("window", read_windows, WINDOWS),
        ):
            calls = {n: partial(read, store, lengths) for n, store in stores.items()}
            late = {n: partial(cold, folders[n], calls[n]) for n in LAYOUTS}
            for state, sides in (("warm", calls), ("cold", late)):
                title = f"read a {what}, {state}"
                times = in_turn(sides, args.rounds)
                results[title] = summary(times, TORCH, OURS, per=per)
                show(title, results[title])
        calls = {
            layout: partial(write, folder, videos, layout)
            for layout, folder in folders.items()
        }
        title = "write a video"
        times = in_turn(calls, args.rounds)
        results[title] = summary(times, TORCH, OURS, per=len(videos))
        show(title, results[title])
    finish(args.json, "features", results)


if __name__ == "__main__":
    main()
