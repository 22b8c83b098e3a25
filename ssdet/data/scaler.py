"""Makes pictures of decoded frames: scaled to one size, upright, red, green and blue.

PyAV and Pillow are needed, and imported only then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av
    from PIL.Image import Image

# Planes, for which FFmpeg has the arithmetic of "rgb24" in vector instructions: they
# take a third of the time.
PLANES = "gbrp"


class Scaler:
    """Scales and turns the frames of one video; what it sets up serves for all.

    Scaling is bilinear, with support that grows when the frame shrinks (antialiased).
    Pixels count as squares, whatever aspect the file states for them.
    # ASSUME: as the programs do that write frames to images (spec of SSDet, section 2).
    """

    def __init__(self, height: int, width: int, turn: int) -> None:
        """Prepare for a size.

        Args:
            height: pixels, before turning.
            width: pixels, before turning.
            turn: degrees clockwise, as given by `video.rotation`.
        """
        from av.video.reformatter import Interpolation, VideoReformatter
        from PIL.Image import Transpose

        self._height, self._width = height, width
        self._turn = {
            90: Transpose.ROTATE_270,  # Pillow turns the other way round
            180: Transpose.ROTATE_180,
            270: Transpose.ROTATE_90,
        }.get(turn)
        self._interpolation = (
            Interpolation.BILINEAR
            | Interpolation.ACCURATE_RND
            | Interpolation.FULL_CHR_H_INT
        )
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> Image:
        """The picture of a frame, as decoded, of any size and pixel format."""
        from PIL import Image

        scaled = self._reformatter.reformat(
            frame,
            width=self._width,
            height=self._height,
            format=PLANES,
            interpolation=self._interpolation,
            threads=1,
        )
        size = (self._width, self._height)
        planes: Any = scaled.planes  # Pillow reads any buffer; its types say fewer
        green, blue, red = (
            Image.frombuffer("L", size, plane, "raw", "L", plane.line_size, 1)
            for plane in planes
        )
        picture = Image.merge("RGB", (red, green, blue))
        return picture if self._turn is None else picture.transpose(self._turn)
