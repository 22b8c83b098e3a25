"""The pictures of a video in order, coded: of a video file or a folder of frames."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from ssdet.data.frame_folder import FrameFolder, open_jpeg
from ssdet.data.video import (
    Picture,
    Shown,
    Video,
    VideoError,
    picture,
    rotation,
    target_size,
)

Encode = Callable[[Picture], bytes]


class Source(Protocol):
    """The pictures of a video in order."""

    def frames(self) -> Iterator[tuple[float, Callable[[], bytes]]]:
        """When each picture is no longer shown, s, and what codes it."""

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width of the pictures coded so far."""


class VideoSource:
    """Frames of a video file; all have the size that suits the first one."""

    def __init__(self, video: Video, short_side: int, encode: Encode) -> None:
        """Begin with the first frame.

        Args:
            video: an open file.
            short_side: pixels of the coded pictures.
            encode: codes a picture.
        """
        self._video = video
        self._short_side, self._encode = short_side, encode
        self._size: tuple[int, int] | None = None
        self._turn = 0

    def frames(self) -> Iterator[tuple[float, Callable[[], bytes]]]:
        """When each frame is no longer shown, s, and what codes it."""
        for shown in self._video.frames():
            yield shown.end_s, partial(self._code, shown)

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        height, width = self._size or (0, 0)
        return (height, width) if self._turn in (0, 180) else (width, height)

    def _code(self, shown: Shown) -> bytes:
        frame = shown.frame
        if self._size is None:
            self._size = target_size(frame.height, frame.width, self._short_side)
            self._turn = rotation(frame)
        return self._encode(picture(frame, *self._size, self._turn))


class FolderSource:
    """Frames of a folder."""

    def __init__(
        self, path: str, fps: float, short_side: int, encode: Encode, keep: bool
    ) -> None:
        """List the folder.

        Args:
            path: of the folder.
            fps: rate at which its frames lie.
            short_side: pixels of the coded pictures.
            encode: codes a picture.
            keep: JPEG files that have the wanted size already stay as they are.
        """
        self._folder, self._fps = FrameFolder(path), fps
        self._short_side, self._encode, self._keep = short_side, encode, keep
        self.upright = (0, 0)

    def frames(self) -> Iterator[tuple[float, Callable[[], bytes]]]:
        """When each frame is no longer shown, s, and what codes it."""
        for number, file in enumerate(self._folder.frames, start=1):
            yield number / self._fps, partial(self._code, file)

    def _code(self, file: Path) -> bytes:
        from PIL import Image

        data = file.read_bytes()
        image = open_jpeg(data, file)
        height, width = target_size(image.height, image.width, self._short_side)
        self.upright = height, width
        try:
            pixels = image.convert("RGB")  # decodes
        except OSError as error:
            raise VideoError(f"the frame {file.name} is damaged: {error}") from None
        if pixels.size != (width, height):
            pixels = pixels.resize((width, height), Image.Resampling.BILINEAR)
        elif self._keep:
            return data
        return self._encode(np.asarray(pixels))


def encode_jpeg(image: Picture, quality: int) -> bytes:
    """An RGB picture (H, W, 3) as JPEG of a quality from 1 to 100."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
