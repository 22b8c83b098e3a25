"""Packs the frames of one video, at a given rate and size: as JPEG or as video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ssdet.config import StoredFrames
from ssdet.data.checksums import crc32_of_bytes
from ssdet.data.frame_folder import FrameFolder
from ssdet.data.frame_shard import PackedVideo
from ssdet.data.picture_sources import (
    Encode,
    FolderSource,
    Source,
    VideoSource,
    encode_jpeg,
)
from ssdet.data.sampling import frames_in
from ssdet.data.short_gop import GopEncoder
from ssdet.data.video import Video, VideoError
from ssdet.files import OF_DISKS, sha256, writing


@dataclass(frozen=True)
class PackJob:
    """One video that is to be packed.

    Attributes:
        video_id: its name.
        path: of the video file, or of the folder of frames.
        sha256: of the video file or of all frames, as the inventory has it.
        frames: how many it holds, as the inventory has it.
        fps: frames/s that are wanted.
        stored: size and coding of the frames.
        out: the file for the coded frames.
        folder_fps: rate of a folder of frames; None: `path` is a video file.
    """

    video_id: str
    path: str
    sha256: str
    frames: int
    fps: float
    stored: StoredFrames
    out: Path
    folder_fps: float | None = None


@dataclass(frozen=True)
class Failed:
    """A video that could not be packed."""

    video_id: str
    path: str
    reason: str


def pack_video(job: PackJob) -> PackedVideo | Failed:
    """Decode a video, write its coded frames to `job.out`."""
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
        if error.errno in OF_DISKS:  # no fault of the video
            with writing(job.out):
                raise
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
    side, encode = job.stored.short_side, encoder(job.stored)
    if job.folder_fps is not None:
        keep = job.stored.jpeg_quality is not None
        source = FolderSource(job.path, job.folder_fps, side, encode, keep)
        return _pack_source(job, source)
    with Video(job.path) as video:
        return _pack_source(job, VideoSource(video, side, encode))


def encoder(stored: StoredFrames) -> Encode:
    """What codes the pictures of one video, in order."""
    if stored.video is not None:
        code = GopEncoder(stored.video.gop, stored.video.crf)
        return lambda picture: code(np.asarray(picture))
    assert stored.jpeg_quality is not None
    return partial(encode_jpeg, quality=stored.jpeg_quality)


def _pack_source(job: PackJob, source: Source) -> PackedVideo | Failed:
    sampler = Sampler(job.fps)
    decoded, end_s = 0, 0.0
    code: Callable[[], bytes] | None = None
    offsets: list[int] = []
    lengths: list[int] = []
    checksums: list[int] = []
    with open(job.out, "wb") as file:

        def store(data: bytes, copies: int) -> None:
            offsets.extend([file.tell()] * copies)
            lengths.extend([len(data)] * copies)
            checksums.extend([crc32_of_bytes(data)] * copies)
            file.write(data)

        for end_s, code in source.frames():
            decoded += 1
            copies = sampler.copies(end_s)
            if copies:
                store(code(), copies)
        if code is None or decoded != job.frames:
            return _failed(
                job, f"{decoded} frames were decoded, the inventory has {job.frames}"
            )
        excess = sampler.excess(end_s)
        if excess < 0:
            store(code(), -excess)
        elif excess > 0:
            del offsets[-excess:], lengths[-excess:], checksums[-excess:]
        return PackedVideo(
            job.video_id,
            job.out,
            np.array(offsets, np.int64),
            np.array(lengths, np.int32),
            job.fps,
            round(end_s, 9),
            *source.upright,
            None if job.stored.video is None else np.array(checksums, np.uint32),
        )


def _failed(job: PackJob, reason: str) -> Failed:
    return Failed(job.video_id, job.path, reason)
