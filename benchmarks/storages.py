"""Space, quality and speed of the two storages of frames.

    OMP_NUM_THREADS=1 python benchmarks/storages.py [--videos FILE ...]

The frames of a few videos, generated or those of files, are coded as JPEG and as
short-GOP video as `extract_frames` does it, and read back through the frame store:
random clips of 16 frames, every 5th or every 10th. PSNR is over all channels, against
the frames before coding. Times are processor time of one thread, in the page cache.
"""

import argparse
import random
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from clips import CLIP, HEIGHT, RATE, scene

from ssdet.config import StoredFrames
from ssdet.data.frame_shard import PackedVideo, write_frames
from ssdet.data.frame_store import FrameStore
from ssdet.data.frames import coding
from ssdet.data.pack import encoder
from ssdet.data.video import Video, picture, rotation, target_size

VIDEOS, FRAMES, CLIPS, ROUNDS = 3, 240, 8, 5
FORMS = [
    {"jpeg_quality": 90},
    {"jpeg_quality": 75},
    *({"video": {"gop": gop, "crf": crf}} for gop in (1, 4, 8, 16) for crf in (17, 23)),
    {"video": {"gop": 8, "crf": 20}},
]


def generated():
    """Frames of generated videos."""
    return [np.stack(list(islice(scene(n), FRAMES))) for n in range(VIDEOS)]


def of_files(paths):
    """First frames of video files, scaled as `extract_frames` does."""
    found = []
    for path in paths:
        with Video(path) as video:
            frames = []
            for shown in islice(video.frames(), FRAMES):
                size = target_size(shown.frame.height, shown.frame.width, HEIGHT)
                frames.append(picture(shown.frame, *size, rotation(shown.frame)))
        found.append(np.stack(frames))
    return found


def write(folder, videos, form):
    """Write a shard; gives bytes and milliseconds for each frame."""
    stored = StoredFrames(short_side=HEIGHT, shard_videos=64, **form)
    packed, size, spent = [], 0, 0.0
    for number, frames in enumerate(videos):
        begun = time.process_time()
        encode = encoder(stored)
        coded = [encode(frame) for frame in frames]
        spent += time.process_time() - begun
        part = folder / f"{number}.part"
        part.write_bytes(b"".join(coded))
        lengths = np.array([len(data) for data in coded])
        checksums = np.array([crc32(data) for data in coded], np.uint32)
        packed.append(
            PackedVideo(
                f"v{number}",
                part,
                np.cumsum(lengths) - lengths,
                lengths,
                RATE,
                len(frames) / RATE,
                *frames.shape[1:3],
                checksums,
            )
        )
        size += part.stat().st_size
    (folder / "packed").mkdir()
    write_frames(folder / "packed/shard-000.h5", packed, coding(stored), dict)
    frames = sum(map(len, videos))
    return size / frames, 1000 * spent / frames


def psnr(store, videos):
    """Of all frames, in dB."""
    errors = []
    for number, frames in enumerate(videos):
        for first in range(0, len(frames), 64):
            part = frames[first : first + 64]
            found = store.read(f"v{number}", range(first, first + len(part)))
            found = found.permute(1, 2, 3, 0).numpy().astype(np.float32)
            errors.append(((found - part) ** 2).mean())
    return 10 * np.log10(255**2 / np.mean(errors))


def milliseconds(store, videos, stride):
    """Median processor time of a random clip."""
    source, times = random.Random(0), []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(CLIPS):
            number = source.randrange(len(videos))
            first = source.randrange(len(videos[number]) - CLIP * stride)
            store.read(f"v{number}", range(first, first + CLIP * stride, stride))
        times.append(1000 * (time.process_time() - begun) / CLIPS)
    return statistics.median(times)


def main():
    """Print one line for each form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=Path, nargs="+")
    args = parser.parse_args()
    torch.set_num_threads(1)
    videos = generated() if args.videos is None else of_files(args.videos)
    print("| storage | bytes/frame | PSNR dB | coding ms | clip, 5th ms | 10th ms |")
    print("|---|---:|---:|---:|---:|---:|")
    for form in FORMS:
        with tempfile.TemporaryDirectory() as temporary:
            size, spent = write(Path(temporary), videos, form)
            store = FrameStore(Path(temporary) / "packed")
            quality = psnr(store, videos)
            times = [milliseconds(store, videos, stride) for stride in (5, 10)]
        if "video" in form:
            name = "video, gop {gop}, crf {crf}".format(**form["video"])
        else:
            name = f"JPEG, quality {form['jpeg_quality']}"
        print(
            f"| {name} | {size:.0f} | {quality:.1f} | {spent:.2f} |"
            f" {times[0]:.1f} | {times[1]:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
