"""Random clips of 16 frames: from packed shards, a folder of JPEG files, and mp4.

    OMP_NUM_THREADS=1 python benchmarks/clips.py [--json FILE]

The same videos lie in all three forms; the packed shards hold the very bytes of the
JPEG files. A clip is 16 frames, every 5th or every 10th from a random one, of a random
video. JPEG files are read by Pillow, mp4 by PyAV, which seeks to the last key frame
before the clip and decodes from there; each video is opened anew, as a loader with
thousands of them must. Sides take turns, every round with clips of its own; times are
of one clip, and all lies in the page cache. On a cold disk, or over a network, files
count too: one for 64 videos, one for each video, or one for each frame.

First whole frames, as RGB bytes; then a training batch of 16 clips, a random crop of
each resized to 224 x 224, mirrored or not. Ours ends with bytes, which the device
normalises; beside it stand the usual transforms of each Pillow picture, which end with
normalised floats. The pixels are the same.
"""

import io
import random
import tempfile
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from side_by_side import finish, in_turn, options, show, show_facts, summary
from torchvision.transforms.functional import normalize, to_tensor

from ssdet.augment.cropped_frames import read_crop
from ssdet.augment.spatial import Crop, apply_crop, draw_crop, normalise
from ssdet.data import jpeg
from ssdet.data.clips import collate
from ssdet.data.frame_shard import PackedVideo, write_frames
from ssdet.data.frame_store import FrameStore

VIDEOS, FRAMES, SHARD = 12, 300, 4  # ten seconds each, as in Kinetics
HEIGHT, WIDTH, RATE, QUALITY = 256, 340, 30, 90
CLIP, CLIPS = 16, 16
CROP, SHORT_SIDES, MEAN, STD = 224, (256, 320), (0.45,) * 3, (0.225,) * 3
MAX_ERROR = 8  # grey levels, on average, between a JPEG file and the mp4


def scene(seed, height, width):
    """The frames of a video: textures that move, and grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = rng.uniform(-0.12, 0.12, (3, 4, 2)).astype(np.float32)
    speeds = rng.uniform(-0.4, 0.4, (3, 4)).astype(np.float32)
    for t in range(FRAMES):
        image = np.empty((height, width, 3), np.float32)
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
            for t, image in enumerate(scene(number, HEIGHT, WIDTH)):
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


def draw(source, stride):
    """Random clips of random videos."""
    clips = []
    for _ in range(CLIPS):
        first = source.randrange(FRAMES - CLIP * stride)
        name = f"v{source.randrange(VIDEOS):02d}"
        clips.append((name, list(range(first, first + CLIP * stride, stride))))
    return clips


def plain_item(folder, name, indices, crop):
    """A clip by the usual transforms of each picture."""
    box = (crop.left, crop.top, crop.left + crop.side, crop.top + crop.side)
    frames = []
    for index in indices:
        with Image.open(folder / "jpeg" / name / f"{index:06d}.jpg") as image:
            picture = image.convert("RGB").crop(box)
        picture = picture.resize((CROP, CROP), Image.Resampling.BILINEAR)
        if crop.flip:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        frames.append(normalize(to_tensor(picture), MEAN, STD))
    return {"video": torch.stack(frames, 1)}


def our_item(store, name, indices, crop):
    """The same clip, as our trainings read it."""
    return {"video": read_crop(store, name, indices, crop, CROP)}


def draw_cropped(source, stride):
    """Random clips with a random crop each."""
    generator = torch.Generator().manual_seed(source.randrange(1 << 30))
    return [
        (*clip, draw_crop(HEIGHT, WIDTH, CROP, SHORT_SIDES, 0.5, generator))
        for clip in draw(source, stride)
    ]


def batch_of(item, clips):
    """A batch of clips."""
    return collate([item(*clip) for clip in clips])["video"]


def check_batch(folder, store, clips):
    """See that both sides give the same pixels, but for the rounding of floats."""
    ours = normalise(batch_of(lambda *x: our_item(store, *x), clips), MEAN, STD)
    plain = batch_of(lambda *x: plain_item(folder, *x), clips)
    levels = (ours - plain).abs().amax(dim=(0, 2, 3, 4)) * torch.tensor(STD) * 255
    assert levels.max() <= 2.01, levels


def without_simplejpeg(call):
    """Run something as if only torchvision could decode JPEG."""
    kept, jpeg.simplejpeg = jpeg.simplejpeg, None
    try:
        return call()
    finally:
        jpeg.simplejpeg = kept


def following(side, draws):
    """A call that gives a side the next clips each time."""
    clips = cycle(draws)
    return lambda: side(next(clips))


def compare(title, sides, draws, against):
    """Measure all sides, in as many rounds as there are draws after the first."""
    calls = {name: following(side, draws) for name, side in sides.items()}
    rows = summary(in_turn(calls, len(draws) - 1), against, per=len(draws[0]))
    show(title, rows)
    return rows


def whole_frames(folder, store):
    """Sides that read whole frames."""

    def each(read):
        return lambda clips: [read(*clip) for clip in clips]

    return {
        "JPEG files, Pillow": each(lambda *x: from_jpeg(folder, *x)),
        "packed": each(store.read),
        "packed, torchvision decodes": lambda clips: without_simplejpeg(
            lambda: each(store.read)(clips)
        ),
        "mp4": each(lambda *x: from_mp4(folder, *x)),
    }


def batches(folder, store):
    """Sides that make a training batch."""

    def ours(clips):
        return batch_of(lambda *x: our_item(store, *x), clips)

    return {
        "JPEG files, Pillow, usual transforms": lambda clips: batch_of(
            lambda *x: plain_item(folder, *x), clips
        ),
        "packed": ours,
        "packed, torchvision decodes": lambda clips: without_simplejpeg(
            lambda: ours(clips)
        ),
        "packed, normalised by the same core": lambda clips: normalise(
            ours(clips), MEAN, STD
        ),
    }


def parts(store):
    """What a clip of ours costs, step by step: each side repeats those before it."""

    def cut(clips):
        return [store.read(*clip[:2], part=clip[2].part) for clip in clips]

    def fitted(clips):
        return [
            apply_crop(video, Crop(0, 0, crop.side, crop.flip), CROP)
            for video, (*_, crop) in zip(cut(clips), clips, strict=True)
        ]

    return {
        "read, decode and cut": cut,
        "... and resize and mirror": fitted,
        "... and collate": lambda clips: collate([{"x": x} for x in fitted(clips)]),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Compare and measure at both strides."""
    args = options(__doc__, rounds=7).parse_args(argv)
    torch.set_num_threads(1)
    show_facts()
    if jpeg.simplejpeg is None:
        print("simplejpeg is not installed: torchvision decodes")
    files, transforms = "JPEG files, Pillow", "JPEG files, Pillow, usual transforms"
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_all(folder)
        store = FrameStore(folder / "packed")
        source = random.Random(0)
        for stride in (5, 10):
            check(folder, store, draw(source, stride)[:5])
            check_batch(folder, store, draw_cropped(source, stride)[:5])
            draws = [draw(source, stride) for _ in range(args.rounds + 1)]
            title = f"whole frames, stride {stride}"
            sides = whole_frames(folder, store)
            results[title] = compare(title, sides, draws, files)
            draws = [draw_cropped(source, stride) for _ in range(args.rounds + 1)]
            title = f"batch of {CLIPS} clips, stride {stride}"
            results[title] = compare(title, batches(folder, store), draws, transforms)
        title = "steps of ours"
        results[title] = compare(title, parts(store), draws, "... and collate")
    finish(args.json, "clips", {"one clip": results})


if __name__ == "__main__":
    main()
