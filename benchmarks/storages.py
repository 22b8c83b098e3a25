"""Space, quality and speed of the two storages of frames.

    OMP_NUM_THREADS=1 python benchmarks/storages.py [--videos FILE ...] [--json FILE]

The frames of a few videos, generated or those of files, are coded as JPEG and as
short-GOP video as `extract_frames` does it, and read back through the frame store:
random clips of 16 frames, every 5th or every 10th. Storages take turns, ratios are to
JPEG of quality 90. PSNR is over all channels, against the frames before coding. Times
of coding are of a frame, times of reading of a clip, by one thread, in the page cache.
"""

import random
import tempfile
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from clips import CLIP, HEIGHT, RATE, WIDTH, following, scene
from PIL import Image
from side_by_side import finish, in_turn, options, show, show_facts, summary

from ssdet.config import StoredFrames
from ssdet.data.frame_shard import PackedVideo, write_frames
from ssdet.data.frame_store import FrameStore
from ssdet.data.frames import coding
from ssdet.data.pack import encoder
from ssdet.data.scaler import Scaler
from ssdet.data.video import Video, rotation, target_size

VIDEOS, FRAMES, CLIPS = 3, 240, 8
CODED = 64  # frames of each video whose coding is timed
FORMS = [
    {"jpeg_quality": 90},
    {"jpeg_quality": 75},
    *({"video": {"gop": gop, "crf": crf}} for gop in (1, 4, 8, 16) for crf in (17, 23)),
    {"video": {"gop": 8, "crf": 20}},
]


def generated():
    """Frames of generated videos."""
    return [
        np.stack(list(islice(scene(n, HEIGHT, WIDTH), FRAMES))) for n in range(VIDEOS)
    ]


def of_files(paths):
    """First frames of video files, scaled as `extract_frames` does."""
    found = []
    for path in paths:
        with Video(path) as video:
            frames = []
            for shown in islice(video.frames(), FRAMES):
                size = target_size(shown.frame.height, shown.frame.width, HEIGHT)
                scale = Scaler(*size, rotation(shown.frame))
                frames.append(np.asarray(scale(shown.frame)))
        found.append(np.stack(frames))
    return found


def code(frames, stored):
    """The coded frames of a video."""
    encode = encoder(stored)
    return [encode(Image.fromarray(frame)) for frame in frames]


def write(folder, videos, stored):
    """Write a shard; gives bytes for each frame."""
    folder.mkdir()
    packed, size = [], 0
    for number, frames in enumerate(videos):
        coded = code(frames, stored)
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
    write_frames(folder / "packed/shard-000.h5", packed, coding(stored), dict)
    return size / sum(map(len, videos))


def psnr(store, videos):
    """Of all frames, in dB."""
    errors = []
    for number, frames in enumerate(videos):
        for first in range(0, len(frames), 64):
            part = frames[first : first + 64]
            found = store.read(f"v{number}", range(first, first + len(part)))
            found = found.permute(1, 2, 3, 0).numpy().astype(np.float32)
            errors.append(((found - part) ** 2).mean())
    return float(10 * np.log10(255**2 / np.mean(errors)))


def draw(source, videos, stride):
    """Random clips of random videos."""
    clips = []
    for _ in range(CLIPS):
        number = source.randrange(len(videos))
        first = source.randrange(len(videos[number]) - CLIP * stride)
        clips.append((f"v{number}", range(first, first + CLIP * stride, stride)))
    return clips


def read(store, clips):
    """Read some clips."""
    for clip in clips:
        store.read(*clip)


def name_of(form):
    """As in the tables."""
    if "video" in form:
        return "video, gop {gop}, crf {crf}".format(**form["video"])
    return f"JPEG, quality {form['jpeg_quality']}"


def main(argv: Sequence[str] | None = None) -> None:
    """Write all forms, compare, measure."""
    parser = options(__doc__, rounds=5)
    parser.add_argument("--videos", type=Path, nargs="+")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    show_facts()
    videos = generated() if args.videos is None else of_files(args.videos)
    recipes = {
        name_of(form): StoredFrames(short_side=HEIGHT, shard_videos=64, **form)
        for form in FORMS
    }
    first = next(iter(recipes))
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: Path(temporary) / name for name in recipes}
        sizes = {n: write(folders[n], videos, stored) for n, stored in recipes.items()}
        stores = {
            name: FrameStore(folder / "packed") for name, folder in folders.items()
        }
        quality = {name: psnr(store, videos) for name, store in stores.items()}
        print(f"\n{'':24}{'bytes/frame':>12}{'ratio':>8}{'PSNR dB':>9}")
        for name, size in sizes.items():
            print(
                f"{name:24}{size:12.0f}{sizes[first] / size:8.2f}{quality[name]:9.1f}"
            )
        short = [video[:CODED] for video in videos]
        calls = {
            name: lambda stored=stored: [code(frames, stored) for frames in short]
            for name, stored in recipes.items()
        }
        frames, title = sum(map(len, short)), "coding of a frame"
        results[title] = summary(in_turn(calls, args.rounds), first, per=frames)
        show(title, results[title])
        source = random.Random(0)
        for stride in (5, 10):
            draws = [draw(source, videos, stride) for _ in range(args.rounds + 1)]
            calls = {
                name: following(partial(read, store), draws)
                for name, store in stores.items()
            }
            title = f"a clip of every {stride}th frame"
            results[title] = summary(in_turn(calls, args.rounds), first, per=CLIPS)
            show(title, results[title])
    given = {"bytes": sizes, "psnr_db": quality}
    finish(args.json, "storages", {**given, **results})


if __name__ == "__main__":
    main()
