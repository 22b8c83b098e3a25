"""Decodes one video and packs its frames as JPEG, at a given rate and size."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssdet.data.frame_shard import PackedVideo
from ssdet.data.sampling import frames_in
from ssdet.data.video import (
    Picture,
    Shown,
    Video,
    VideoError,
    picture,
    rotation,
    target_size,
)
from ssdet.files import sha256


@dataclass(frozen=True)
class PackJob:
    """One video that is to be packed.

    Attributes:
        video_id: its name.
        path: of the video file.
        sha256: of the video file, as the inventory has it.
        frames: how many it holds, as the inventory has it.
        fps: frames/s that are wanted.
        short_side: pixels.
        jpeg_quality: 1 to 100.
        out: the file for the JPEG bytes.
    """

    video_id: str
    path: str
    sha256: str
    frames: int
    fps: float
    short_side: int
    jpeg_quality: int
    out: Path


@dataclass(frozen=True)
class Failed:
    """A video that could not be packed."""

    video_id: str
    path: str
    reason: str


def pack_video(job: PackJob) -> PackedVideo | Failed:
    """Decode a video, write its JPEG frames to `job.out`."""
    try:
        if sha256(job.path) != job.sha256:
            return _failed(job, "the file has changed since the inventory")
        return _pack(job)
    except ImportError:
        raise ValueError(
            "reading videos needs PyAV and Pillow: pip install av pillow"
        ) from None
    except VideoError as error:
        return _failed(job, str(error))
    except OSError as error:
        return _failed(job, str(error))


def died(job: PackJob) -> PackedVideo | Failed:
    """The result of a video that killed the process which decoded it."""
    return _failed(job, "the decoder crashed or memory ran out")


class Sampler:
    """Says how many output frames each shown frame gives.

    Output frame i shows what the video shows at (i + 0.5) / fps: at the video's own
    constant rate every frame is taken once. There are round(duration * fps) of them,
    at least one.
    """

    def __init__(self, fps: float) -> None:
        """Start at the first frame of a video."""
        self._fps, self._count = fps, 0

    def copies(self, end_s: float) -> int:
        """Output frames that show the next frame of the video, shown until `end_s`."""
        before = self._count
        while (self._count + 0.5) / self._fps < end_s:
            self._count += 1
        return self._count - before

    def excess(self, duration_s: float) -> int:
        """Output frames too many (at its end a video may also have some too few)."""
        return self._count - frames_in(duration_s, self._fps)


def _pack(job: PackJob) -> PackedVideo | Failed:
    sampler, encoder = Sampler(job.fps), _Encoder(job)
    decoded, last = 0, None
    offsets: list[int] = []
    lengths: list[int] = []
    with Video(job.path) as video, open(job.out, "wb") as file:

        def store(shown: Shown, copies: int) -> None:
            data = encoder.jpeg(shown)
            offsets.extend([file.tell()] * copies)
            lengths.extend([len(data)] * copies)
            file.write(data)

        for shown in video.frames():
            decoded, last = decoded + 1, shown
            copies = sampler.copies(shown.end_s)
            if copies:
                store(shown, copies)
        if last is None or decoded != job.frames:
            return _failed(
                job, f"{decoded} frames were decoded, the inventory has {job.frames}"
            )
        excess = sampler.excess(last.end_s)
        if excess < 0:
            store(last, -excess)
        elif excess > 0:
            del offsets[-excess:], lengths[-excess:]
        return PackedVideo(
            job.video_id,
            job.out,
            np.array(offsets, np.int64),
            np.array(lengths, np.int32),
            job.fps,
            round(last.end_s, 9),
            *encoder.upright,
        )


class _Encoder:
    """Turns frames into JPEG; all have the size that suits the first one."""

    def __init__(self, job: PackJob) -> None:
        self._job = job
        self._size: tuple[int, int] | None = None
        self._turn = 0

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        height, width = self._size or (0, 0)
        return (height, width) if self._turn in (0, 180) else (width, height)

    def jpeg(self, shown: Shown) -> bytes:
        """The frame as JPEG."""
        frame = shown.frame
        if self._size is None:
            self._size = target_size(frame.height, frame.width, self._job.short_side)
            self._turn = rotation(frame)
        return encode_jpeg(
            picture(frame, *self._size, self._turn), self._job.jpeg_quality
        )


def encode_jpeg(image: Picture, quality: int) -> bytes:
    """An RGB picture (H, W, 3) as JPEG of a quality from 1 to 100."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _failed(job: PackJob, reason: str) -> Failed:
    return Failed(job.video_id, job.path, reason)
