"""Frames of videos, decoded, scaled and stored: a packed shard, folders of JPEG files.

    OMP_NUM_THREADS=1 python benchmarks/extraction.py [--videos FILE ...] [--json FILE]

Every side decodes the same H.264 videos of 854 x 480, generated or given, with one
thread, scales them to a short side of 256, bilinearly, and stores JPEG: ours in one
shard, as the stage `extract_frames` does; *PyAV, Pillow* in a file for each frame, in
the plain way (`rgb24`, the quality 90); the program ffmpeg (Debian's package of that
name; without it this side is left out) too. Times are of a frame, those of child
processes included, all in the page cache.

Checked first: every side has every frame, and what ours codes is, but for a level, what
PyAV gives as `rgb24`. PSNR is over all frames and channels, against what the side's own
scaling gives before coding: it judges the coding alone. The qualities of ffmpeg are
whole numbers and far apart: the next ones with more and with fewer bytes than ours are
measured. At just as many bytes, its PSNR and time lie on the line through the two
(against the logarithm of bytes); both are printed beside ours.
"""

import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
from av.video.reformatter import Interpolation
from clips import RATE, scene
from PIL import Image
from side_by_side import finish, in_turn, options, show, show_facts, summary

from ssdet.config import StoredFrames
from ssdet.data.frame_shard import write_frames
from ssdet.data.frames import coding
from ssdet.data.pack import Failed, PackJob, pack_video
from ssdet.data.scaler import Scaler
from ssdet.data.video import Video, probe, target_size
from ssdet.files import sha256

VIDEOS, FRAMES = 2, 240
HEIGHT, WIDTH, SIDE, QUALITY = 480, 854, 256, 90
QUALITIES = range(1, 32)  # of ffmpeg: 1 is the best
OURS, PILLOW = "ours, one shard", "PyAV, Pillow, files"
LARGER, SMALLER = "ffmpeg, files, larger", "ffmpeg, files, smaller"
STORED = StoredFrames(short_side=SIDE, shard_videos=64, jpeg_quality=QUALITY)
Frames = Iterable[np.ndarray]


@dataclass(frozen=True)
class Source:
    """A video, with what the inventory knows of it."""

    name: str
    path: Path
    sha256: str
    frames: int
    fps: float
    size: tuple[int, int]  # width and height of its stored frames

    @classmethod
    def of(cls, number: int, path: Path) -> "Source":
        """Look at a file."""
        found = probe(path)
        assert found.rotation == 0, f"{path} is stored on its side"
        height, width = target_size(found.height, found.width, SIDE)
        fps = found.frames / found.duration_s
        name = f"v{number}"
        return cls(name, path, sha256(path), found.frames, fps, (width, height))


def generate(folder: Path) -> list[Path]:
    """Videos like those of `clips.py`, larger."""
    paths = []
    for number in range(VIDEOS):
        paths.append(folder / f"{number}.mp4")
        with av.open(str(paths[-1]), "w") as container:
            stream = container.add_stream("libx264", rate=RATE)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.options = {"crf": "23"}
            for image in islice(scene(number, HEIGHT, WIDTH), FRAMES):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return paths


def ours(sources: Sequence[Source], folder: Path) -> None:
    """As the stage `extract_frames` does it."""
    packed = []
    for source in sources:
        facts = (source.name, str(source.path), source.sha256, source.frames)
        part = folder / f"{source.name}.part"
        result = pack_video(PackJob(*facts, source.fps, STORED, part))
        assert not isinstance(result, Failed), result
        packed.append(result)
    write_frames(folder / "shard-000.h5", packed, coding(STORED), dict)
    for video in packed:
        video.file.unlink()


def pillow(sources: Sequence[Source], folder: Path) -> None:
    """A file for each frame, by Pillow."""
    for source in sources:
        for number, image in enumerate(scaled_plainly(source)):
            path = folder / f"{source.name}_{number:06d}.jpg"
            Image.fromarray(image).save(path, "JPEG", quality=QUALITY)


def ffmpeg(sources: Sequence[Source], folder: Path, quality: int) -> None:
    """A file for each frame, by the program."""
    for source in sources:
        files = str(folder / f"{source.name}_%06d.jpg")
        coded = ["-qmin", "1", "-q:v", str(quality), "-start_number", "0", files]
        subprocess.run([*command(source), *coded], check=True)


def command(source: Source) -> list[str]:
    """The program, up to its output; everything by one thread."""
    width, height = source.size
    scale = f"scale={width}:{height}:flags=bilinear+accurate_rnd+full_chroma_int"
    quiet = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-filter_threads", "1"]
    return [
        *quiet,
        "-threads",
        "1",
        "-i",
        str(source.path),
        "-vf",
        scale,
        "-threads",
        "1",
    ]


def scaled(source: Source) -> Frames:
    """The frames of a video as ours scales them, (H, W, 3)."""
    width, height = source.size
    scale = Scaler(height, width, 0)
    with Video(source.path) as video:
        for shown in video.frames():
            yield np.asarray(scale(shown.frame))


def scaled_plainly(source: Source) -> Frames:
    """The frames of a video as PyAV makes RGB of them, (H, W, 3)."""
    width, height = source.size
    bilinear = (
        Interpolation.BILINEAR
        | Interpolation.ACCURATE_RND
        | Interpolation.FULL_CHR_H_INT
    )
    with av.open(str(source.path)) as container:
        container.streams.video[0].thread_type = "NONE"
        for frame in container.decode(video=0):
            yield frame.reformat(
                width, height, "rgb24", interpolation=bilinear, threads=1
            ).to_ndarray()


def scaled_by_ffmpeg(source: Source) -> Frames:
    """The frames of a video as ffmpeg scales them, (H, W, 3)."""
    width, height = source.size
    raw = [*command(source), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    with subprocess.Popen(raw, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while data := process.stdout.read(3 * width * height):
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)


def in_shard(source: Source, folder: Path) -> Iterable[bytes]:
    """The coded frames of a video in our shard."""
    with h5py.File(folder / "shard-000.h5") as file:
        names = [name.decode() for name in file["index"]["video_id"]]
        row = file["index"][names.index(source.name)]
        rows = slice(row["first"], row["first"] + row["frames"])
        places = zip(file["offsets"][rows], file["lengths"][rows], strict=True)
        for offset, length in places:
            yield file["jpeg"][offset : offset + length].tobytes()


def in_files(source: Source, folder: Path) -> Iterable[bytes]:
    """The coded frames of a video in a folder."""
    for path in sorted(folder.glob(f"{source.name}_*.jpg")):
        yield path.read_bytes()


def judged(
    sources: Sequence[Source],
    coded: Callable[[Source], Iterable[bytes]],
    plain: Callable[[Source], Frames],
) -> tuple[float, float]:
    """Bytes of a frame and PSNR in dB; sees that every frame is there."""
    size, error, values = 0, 0.0, 0
    for source in sources:
        count = 0
        for data, image in zip(coded(source), plain(source), strict=True):
            found = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32)
            error += float(np.square(found - image).sum())
            size, values, count = size + len(data), values + found.size, count + 1
        assert count == source.frames, f"{source.name}: {count} of {source.frames}"
    frames = sum(source.frames for source in sources)
    return size / frames, float(10 * np.log10(255**2 * values / error))


def around(
    sources: Sequence[Source], folder: Path, size: float
) -> dict[str, dict[str, float]]:
    """The qualities of ffmpeg whose bytes are next to `size`, and what they give.

    Raises:
        SystemExit: no quality gives as many bytes.
    """
    before: dict[str, float] = {}
    for quality in QUALITIES:
        ffmpeg(sources, folder, quality)
        files = partial(in_files, folder=folder)
        found, psnr = judged(sources, files, scaled_by_ffmpeg)
        facts = {"bytes": found, "psnr_db": psnr, "quality": quality}
        if found <= size and before:
            return {LARGER: before, SMALLER: facts}
        before = facts
    raise SystemExit(f"no qualities of ffmpeg are around {size:.0f} bytes a frame")


def at_equal_bytes(
    known: Mapping[str, Mapping[str, Any]], rows: Mapping[str, Mapping[str, Any]]
) -> dict[str, float]:
    """PSNR and time of ffmpeg at as many bytes as ours; prints those of both."""
    size, more, fewer = (known[name]["bytes"] for name in (OURS, LARGER, SMALLER))
    share = float(np.log(size / fewer) / np.log(more / fewer))
    found = {}
    for what, values in (("psnr_db", known), ("processor_ms", rows)):
        own, large, small = (float(values[n][what]) for n in (OURS, LARGER, SMALLER))
        found[what] = small + share * (large - small)
        print(f"{what} at equal bytes: ours {own:.2f}, ffmpeg {found[what]:.2f}")
    return found


def check(sources: Sequence[Source], folder: Path) -> dict[str, dict[str, float]]:
    """Run all sides once and compare; what is known of each."""
    parts = {name: folder / name for name in (OURS, PILLOW, LARGER, SMALLER)}
    for part in parts.values():
        part.mkdir()
    ours(sources, parts[OURS])
    pillow(sources, parts[PILLOW])
    for source in sources:
        for one, two in zip(scaled(source), scaled_plainly(source), strict=True):
            assert np.abs(one.astype(int) - two).max() <= 1, source.name
    known = {}
    files = {OURS: in_shard, PILLOW: in_files}
    for name, coded in files.items():
        plain = scaled if name == OURS else scaled_plainly
        size, psnr = judged(sources, partial(coded, folder=parts[name]), plain)
        known[name] = {"bytes": size, "psnr_db": psnr}
    if shutil.which("ffmpeg") is None:
        print("no program ffmpeg: that side is left out")
    else:
        known |= around(sources, parts[SMALLER], known[OURS]["bytes"])
        ffmpeg(sources, parts[LARGER], int(known[LARGER]["quality"]))
    for name, facts in known.items():
        facts["files"] = len(list(parts[name].iterdir()))
        said = ", ".join(f"{value:.5g} {what}" for what, value in facts.items())
        print(f"{name}: {said}")
    return known


def main(argv: Sequence[str] | None = None) -> None:
    """Compare and measure."""
    parser = options(__doc__, rounds=5)
    parser.add_argument("--videos", type=Path, nargs="+")
    args = parser.parse_args(argv)
    show_facts()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = args.videos or generate(folder)
        sources = [Source.of(number, path) for number, path in enumerate(paths)]
        known = check(sources, folder)
        calls = {
            PILLOW: partial(pillow, sources, folder / PILLOW),
            OURS: partial(ours, sources, folder / OURS),
        }
        for name in (LARGER, SMALLER) if LARGER in known else ():
            quality = int(known[name]["quality"])
            calls[name] = partial(ffmpeg, sources, folder / name, quality)
        frames = sum(source.frames for source in sources)
        times = in_turn(calls, args.rounds, warm_up=False)  # the check was one
        rows = summary(times, *(name for name in calls if name != OURS), per=frames)
    show("a frame", rows)
    for name, row in rows.items():
        print(f"{name}: {1000 / row['processor_ms']:.0f} frames/s of processor time")
    equal = at_equal_bytes(known, rows) if LARGER in known else {}
    results = {"frames": frames, "known": known, "sides": rows, "at_our_bytes": equal}
    finish(args.json, "extraction", results)


if __name__ == "__main__":
    main()
