"""The pictures of a video in order, coded: of a video file or a folder of frames."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ssdet.data.frame_folder import FrameFolder, open_jpeg
from ssdet.data.scaler import Scaler
from ssdet.data.video import Shown, Video, VideoError, rotation, target_size

if TYPE_CHECKING:
    from PIL.Image import Image

Encode = Callable[["Image"], bytes]


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
        self._scaler: Scaler | None = None
        self.upright = (0, 0)

    def frames(self) -> Iterator[tuple[float, Callable[[], bytes]]]:
        """When each frame is no longer shown, s, and what codes it."""
        for shown in self._video.frames():
            yield shown.end_s, partial(self._code, shown)

    def _code(self, shown: Shown) -> bytes:
        if self._scaler is None:
            frame, turn = shown.frame, rotation(shown.frame)
            height, width = target_size(frame.height, frame.width, self._short_side)
            self._scaler = Scaler(height, width, turn)
            self.upright = (height, width) if turn in (0, 180) else (width, height)
        return self._encode(self._scaler(shown.frame))


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
        return self._encode(pixels)


def encode_jpeg(picture: Image, quality: int) -> bytes:
    """A picture of red, green and blue as a JPEG file.

    Baseline, chroma of half the size. All frequencies have one step of quantisation:
    the JPEG standard's tables, made for the eye, coarsen the higher ones. At equal
    bytes the pixels are closer to the picture's, by 1.3 to 2.1 dB in PSNR
    (benchmarks/RESULTS.md, `extraction.py`).

    Args:
        picture: of any size.
        quality: from 1 to 100, as `jpeg_step` understands it.
    """
    buffer = io.BytesIO()
    tables = [[jpeg_step(quality)] * 64]  # for luma and chroma
    # Without the comment of the file that the picture may be from.
    picture.save(buffer, "JPEG", qtables=tables, subsampling="4:2:0", comment=None)
    return buffer.getvalue()


def jpeg_step(quality: int) -> int:
    """The step of quantisation, grey levels: 25, scaled by a quality as libjpeg does.

    From 50 on it is 50 - quality / 2, at least 1; below, 1250 / quality, at most 255.
    """
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return min(max((25 * percent + 50) // 100, 1), 255)
