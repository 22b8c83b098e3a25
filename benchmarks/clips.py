"""Random clips of 16 frames: from packed shards, a folder of JPEG files, and mp4.

    OMP_NUM_THREADS=1 python benchmarks/clips.py

The same videos lie in all three forms; the packed shards hold the very bytes of the
JPEG files. A clip is 16 frames, every 5th or every 10th from a random one, of a random
video, as RGB bytes (3, 16, H, W) in one tensor. JPEG files are read by Pillow, mp4 by
PyAV, which seeks to the last key frame before the clip and decodes from there; each
video is opened anew, as a loader with thousands of them must. All lies in the page
cache: what is measured is processor time. On a cold disk, or over a network, files
count too: one for 64 videos, one for each video, or one for each frame.
"""

import io
import os
import platform
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image

from ssdet.data.frame_shard import PackedVideo, write_frames
from ssdet.data.frame_store import FrameStore

VIDEOS, FRAMES, SHARD = 12, 300, 4  # ten seconds each, as in Kinetics
HEIGHT, WIDTH, RATE, QUALITY = 256, 340, 30, 90
CLIP, CLIPS, ROUNDS = 16, 20, 5
MAX_ERROR = 8  # grey levels, on average, between a JPEG file and the mp4


def scene(seed):
    """The frames of a video: textures that move, and grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    waves = rng.uniform(-0.12, 0.12, (3, 4, 2)).astype(np.float32)
    speeds = rng.uniform(-0.4, 0.4, (3, 4)).astype(np.float32)
    for t in range(FRAMES):
        image = np.empty((HEIGHT, WIDTH, 3), np.float32)
        for c in range(3):
            phases = (
                a * x + b * y + s * t
                for (a, b), s in zip(waves[c], speeds[c], strict=True)
            )
            image[..., c] = 128 + 25 * sum(np.sin(phase) for phase in phases)
        image += rng.normal(0, 4, image.shape).astype(np.float32)
        yield image.clip(0, 255).astype(np.uint8)


def write_all(folder):
    """Write every video in the three forms."""
    parts = []
    for number in range(VIDEOS):
        name = f"v{number:02d}"
        (folder / "jpeg" / name).mkdir(parents=True)
        (folder / "mp4").mkdir(exist_ok=True)
        data, offsets, lengths = b"", [], []
        with av.open(str(folder / "mp4" / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=RATE)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for t, image in enumerate(scene(number)):
                buffer = io.BytesIO()
                Image.fromarray(image).save(buffer, "JPEG", quality=QUALITY)
                offsets.append(len(data))
                lengths.append(buffer.tell())
                data += buffer.getvalue()
                path = folder / "jpeg" / name / f"{t:06d}.jpg"
                path.write_bytes(buffer.getvalue())
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        part = folder / f"{name}.part"
        part.write_bytes(data)
        places = np.array(offsets), np.array(lengths)
        size = HEIGHT, WIDTH
        parts.append(PackedVideo(name, part, *places, RATE, FRAMES / RATE, *size))
    (folder / "packed").mkdir()
    for shard in range(0, VIDEOS, SHARD):
        path = folder / "packed" / f"shard-{shard // SHARD:03d}.h5"
        write_frames(path, parts[shard : shard + SHARD], {"dataset": "x"}, dict)


def from_jpeg(folder, name, indices):
    """Read frames that lie in files of their own."""
    pictures = []
    for index in indices:
        with Image.open(folder / "jpeg" / name / f"{index:06d}.jpg") as image:
            pictures.append(np.asarray(image.convert("RGB")))
    return torch.from_numpy(np.stack(pictures)).permute(3, 0, 1, 2).contiguous()


def from_mp4(folder, name, indices):
    """Seek to the key frame before the first frame, decode to the last."""
    wanted, pictures = set(indices), []
    with av.open(str(folder / "mp4" / f"{name}.mp4")) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        step = round(1 / (RATE * stream.time_base))
        start = stream.start_time or 0
        container.seek(start + indices[0] * step, stream=stream)
        for frame in container.decode(stream):
            index = round((frame.pts - start) / step)
            if index in wanted:
                pictures.append(frame.to_ndarray(format="rgb24"))
            if index >= indices[-1]:
                break
    return torch.from_numpy(np.stack(pictures)).permute(3, 0, 1, 2).contiguous()


def check(folder, store, clips):
    """See that all three give the same frames; mp4 is lossy."""
    for name, indices in clips:
        ours = store.read(name, indices)
        files = from_jpeg(folder, name, indices)
        assert torch.equal(ours, files), name
        error = (from_mp4(folder, name, indices).float() - ours.float()).abs().mean()
        assert error < MAX_ERROR, f"{name}: {error}"


def milliseconds(read, clips):
    """Processor time of one clip."""
    begun = time.process_time()
    for name, indices in clips:
        read(name, indices)
    return 1000 * (time.process_time() - begun) / len(clips)


def draw(source, stride):
    """Random clips of random videos."""
    clips = []
    for _ in range(CLIPS):
        first = source.randrange(FRAMES - CLIP * stride)
        name = f"v{source.randrange(VIDEOS):02d}"
        clips.append((name, list(range(first, first + CLIP * stride, stride))))
    return clips


def main():
    """Print one line for each stride."""
    torch.set_num_threads(1)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, load", end=" ")
    print(f"{os.getloadavg()[0]:.1f}, torch {torch.__version__}, 1 thread;", end=" ")
    keys = [key for key in os.environ if key.startswith(("MALLOC_", "GLIBC_"))]
    print("allocator:", ", ".join(f"{k}={os.environ[k]}" for k in keys) or "default")
    print(f"{'':12}{'packed':>10}{'jpeg':>10}{'ratio':>8}{'mp4':>10}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_all(folder)
        store = FrameStore(folder / "packed")
        source = random.Random(0)
        for stride in (5, 10):
            check(folder, store, draw(source, stride)[:5])
            times = []
            for _ in range(ROUNDS):
                clips = draw(source, stride)
                times.append(
                    (
                        milliseconds(store.read, clips),
                        milliseconds(lambda *x: from_jpeg(folder, *x), clips),
                        milliseconds(lambda *x: from_mp4(folder, *x), clips),
                    )
                )
            ours, jpeg, mp4 = (
                statistics.median(side) for side in zip(*times, strict=True)
            )
            print(
                f"stride {stride:<5}{ours:10.1f}{jpeg:10.1f}{jpeg / ours:8.1f}"
                f"{mp4:10.1f}{mp4 / ours:8.1f}"
            )


if __name__ == "__main__":
    main()
