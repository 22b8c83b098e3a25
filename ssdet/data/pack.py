"""Packs the frames of one video as JPEG, at a given rate and size."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from ssdet.data.frame_folder import FrameFolder, open_jpeg
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
        path: of the video file, or of the folder of frames.
        sha256: of the video file or of all frames, as the inventory has it.
        frames: how many it holds, as the inventory has it.
        fps: frames/s that are wanted.
        short_side: pixels.
        jpeg_quality: 1 to 100.
        out: the file for the JPEG bytes.
        folder_fps: rate of a folder of frames; None: `path` is a video file.
    """

    video_id: str
    path: str
    sha256: str
    frames: int
    fps: float
    short_side: int
    jpeg_quality: int
    out: Path
    folder_fps: float | None = None


@dataclass(frozen=True)
class Failed:
    """A video that could not be packed."""

    video_id: str
    path: str
    reason: str


def pack_video(job: PackJob) -> PackedVideo | Failed:
    """Decode a video, write its JPEG frames to `job.out`."""
    try:
        if job.folder_fps is None:
            found = sha256(job.path)
        else:
            found, *_ = FrameFolder(job.path).check()
        if found != job.sha256:
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


class Source(Protocol):
    """The pictures of a video in order."""

    def frames(self) -> Iterator[tuple[float, Callable[[], bytes]]]:
        """When each picture is no longer shown, s, and what makes it a JPEG file."""

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width of the JPEG files made so far."""


def _pack(job: PackJob) -> PackedVideo | Failed:
    if job.folder_fps is not None:
        return _pack_source(job, FolderSource(job, job.folder_fps))
    with Video(job.path) as video:
        return _pack_source(job, VideoSource(job, video))


def _pack_source(job: PackJob, source: Source) -> PackedVideo | Failed:
    sampler = Sampler(job.fps)
    decoded, end_s = 0, 0.0
    jpeg: Callable[[], bytes] | None = None
    offsets: list[int] = []
    lengths: list[int] = []
    with open(job.out, "wb") as file:

        def store(data: bytes, copies: int) -> None:
            offsets.extend([file.tell()] * copies)
            lengths.extend([len(data)] * copies)
            file.write(data)

        for end_s, jpeg in source.frames():
            decoded += 1
            copies = sampler.copies(end_s)
            if copies:
                store(jpeg(), copies)
        if jpeg is None or decoded != job.frames:
            return _failed(
                job, f"{decoded} frames were decoded, the inventory has {job.frames}"
            )
        excess = sampler.excess(end_s)
        if excess < 0:
            store(jpeg(), -excess)
        elif excess > 0:
            del offsets[-excess:], lengths[-excess:]
        return PackedVideo(
            job.video_id,
            job.out,
            np.array(offsets, np.int64),
            np.array(lengths, np.int32),
            job.fps,
            round(end_s, 9),
            *source.upright,
        )


class VideoSource:
    """Frames of a video file; all have the size that suits the first one."""

    def __init__(self, job: PackJob, video: Video) -> None:
        """Begin with the first frame."""
        self._job, self._video = job, video
        self._size: tuple[int, int] | None = None
        self._turn = 0

    def frames(self) -> Iterator[tuple[float, Callable[[], bytes]]]:
        """When each frame is no longer shown, s, and what makes it a JPEG file."""
        for shown in self._video.frames():
            yield shown.end_s, partial(self._jpeg, shown)

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        height, width = self._size or (0, 0)
        return (height, width) if self._turn in (0, 180) else (width, height)

    def _jpeg(self, shown: Shown) -> bytes:
        frame = shown.frame
        if self._size is None:
            self._size = target_size(frame.height, frame.width, self._job.short_side)
            self._turn = rotation(frame)
        return encode_jpeg(
            picture(frame, *self._size, self._turn), self._job.jpeg_quality
        )


class FolderSource:
    """Frames of a folder; those that have the wanted size already stay as they are."""

    def __init__(self, job: PackJob, fps: float) -> None:
        """List the folder; its frames lie at `fps`."""
        self._job, self._fps = job, fps
        self._folder = FrameFolder(job.path)
        self.upright = (0, 0)

    def frames(self) -> Iterator[tuple[float, Callable[[], bytes]]]:
        """When each frame is no longer shown, s, and what makes it a JPEG file."""
        for number, file in enumerate(self._folder.frames, start=1):
            yield number / self._fps, partial(self._jpeg, file)

    def _jpeg(self, file: Path) -> bytes:
        from PIL import Image

        data = file.read_bytes()
        image = open_jpeg(data, file)
        height, width = target_size(image.height, image.width, self._job.short_side)
        self.upright = height, width
        try:
            pixels = image.convert("RGB")  # decodes
        except OSError as error:
            raise VideoError(f"the frame {file.name} is damaged: {error}") from None
        if image.size == (width, height):
            return data
        scaled = pixels.resize((width, height), Image.Resampling.BILINEAR)
        return encode_jpeg(np.asarray(scaled), self._job.jpeg_quality)


def encode_jpeg(image: Picture, quality: int) -> bytes:
    """An RGB picture (H, W, 3) as JPEG of a quality from 1 to 100."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _failed(job: PackJob, reason: str) -> Failed:
    return Failed(job.video_id, job.path, reason)
