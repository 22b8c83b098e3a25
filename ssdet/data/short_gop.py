"""Codes pictures as H.264 with a key picture every few: small, and read from anywhere.

Every `gop`-th picture of a video is a key picture, all others need those before them
back to it; none needs a later one, so each picture is one packet, given and decoded at
once. Full range, chroma of half the size, one thread: equal pictures give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

ENCODER, DECODER, PIXELS = "libx264", "h264", "yuvj420p"
ALIGNED = 64  # pixels; the decoder's pictures have multiples of it or less

Picture = NDArray[np.uint8]  # (H, W, 3), red, green, blue


class GopEncoder:
    """Codes the pictures of one video, in order."""

    def __init__(self, gop: int, crf: float) -> None:
        """Prepare; the first picture tells the size.

        Args:
            gop: pictures from one key picture to the next.
            crf: constant rate factor of x264, 0 to 51; lower is better and larger.
        """
        self._gop, self._crf = gop, crf
        self._context: av.VideoCodecContext | None = None
        self._count = 0

    def __call__(self, picture: Picture) -> bytes:
        """The packet of the next picture.

        Raises:
            ValueError: a side is odd, or PyAV has no libx264.
        """
        import av
        from av.video.reformatter import Interpolation, VideoReformatter

        if self._context is None:
            self._context = self._open(*picture.shape[:2])
            self._convert = VideoReformatter()
        frame = self._convert.reformat(
            av.VideoFrame.from_ndarray(picture, format="rgb24"),
            format=PIXELS,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
            threads=1,
        )
        frame.pts = self._count
        packets = self._context.encode(frame)
        assert len(packets) == 1
        assert packets[0].is_keyframe == (self._count % self._gop == 0)
        self._count += 1
        return bytes(packets[0])

    def _open(self, height: int, width: int) -> av.VideoCodecContext:
        import av

        if height % 2 or width % 2:
            raise ValueError(
                f"frames of {width} x {height} pixels cannot be stored as video, sides"
                " must be even; change frames.short_side"
            )
        try:
            context = av.CodecContext.create(ENCODER, "w")
        except (ValueError, av.FFmpegError):
            raise ValueError(
                f"this PyAV has no {ENCODER}: pip install av, or set frames.storage to"
                " jpeg"
            ) from None
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height, context.pix_fmt = width, height, PIXELS
        context.time_base, context.thread_count = Fraction(1, 30), 1
        context.options = {
            "preset": "veryfast",
            "tune": "zerolatency,fastdecode",
            "crf": f"{self._crf:g}",
            "x264-params": f"keyint={self._gop}:min-keyint={self._gop}:scenecut=0"
            ":bframes=0:threads=1:sliced-threads=0",
        }
        return context


def decode_packets(
    packets: Sequence[bytes], wanted: Sequence[bool], size: tuple[int, int]
) -> Iterator[Picture]:
    """Decode pictures in order.

    Args:
        packets: of pictures that follow one another from a key picture on; behind
            them, another such stretch may follow.
        wanted: which of the pictures to give.
        size: the height and width that all must have.

    Yields:
        The wanted pictures.

    Raises:
        ValueError: a packet is damaged, or of another size.
    """
    import av
    from av.codec.context import Flags
    from av.video.reformatter import VideoReformatter

    context = av.CodecContext.create(DECODER, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count, context.thread_type = 1, "NONE"
    context.flags |= Flags.low_delay  # each picture at once
    height, width = (-(-side // ALIGNED) * ALIGNED for side in size)
    context.options = {"err_detect": "explode", "max_pixels": str(height * width)}
    convert = VideoReformatter()  # what it sets up serves for all pictures
    for packet, give in zip(packets, wanted, strict=True):
        try:
            frames = context.decode(av.Packet(packet))
        except av.FFmpegError as error:
            raise ValueError(str(error.strerror or error)) from None
        if len(frames) != 1 or frames[0].is_corrupt:
            raise ValueError("a packet does not hold one whole picture")
        if (frames[0].height, frames[0].width) != size:
            raise ValueError(
                f"it has {frames[0].width} x {frames[0].height} pixels, not"
                f" {size[1]} x {size[0]}"
            )
        if give:
            shown = convert.reformat(frames[0], format="rgb24", threads=1)
            yield np.asarray(shown.to_ndarray(), np.uint8)
