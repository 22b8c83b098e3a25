"""A video that was released as a folder of JPEG frames, numbered from 1 or 0.

Source: spec of SSDet, section 2: Charades <id>/<id>-%06d.jpg, 24 frames/s; Kinetics
<clip>/frame_%05d.jpg, of unknown rate. A missing frame is an error.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from ssdet.data.picture_size import jpeg_size
from ssdet.data.video import VideoError, see_possible

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".jpg", ".jpeg")
NUMBERED = re.compile(r"(.*?)(\d+)\.jpe?g", re.IGNORECASE)
CHARADES_FPS = 24.0
SHOWN = 5  # gaps in a message


def folder_fps(format: str, fps: float | None) -> float | None:
    """Frames/s at which the frames in folders lie; None: not known.

    Args:
        format: of the data set's labels; the release of Charades has a rate of its own.
        fps: of the data set's section.
    """
    return CHARADES_FPS if format == "charades" else fps


class FrameFolder:
    """The frames of one video, in order."""

    def __init__(self, path: str | Path) -> None:
        """List the folder.

        Raises:
            VideoError: it holds no frames, those of several videos, or not all.
            OSError: it cannot be read.
        """
        self.path = Path(path)
        numbers: dict[int, Path] = {}
        series: set[str] = set()
        for file in self.path.iterdir():
            if file.suffix.lower() not in SUFFIXES:
                continue
            found = NUMBERED.fullmatch(file.name)
            if found is None:
                raise VideoError(f"the frame {file.name} has no number in its name")
            series.add(found[1])
            if int(found[2]) in numbers:
                raise VideoError(f"two frames have number {int(found[2])}")
            numbers[int(found[2])] = file
        if not numbers:
            raise VideoError("the folder holds no JPEG frames")
        if len(series) > 1:
            names = ", ".join(repr(name) for name in sorted(series)[:SHOWN])
            raise VideoError(f"the frames' names begin differently: {names}")
        first, last = 0 if 0 in numbers else 1, max(numbers)
        gaps = _gaps([first - 1, *sorted(numbers)])
        if gaps:
            more = ", ..." if len(gaps) > SHOWN else ""
            raise VideoError(
                f"frames {', '.join(gaps[:SHOWN])}{more} of {first} to {last} are"
                " missing"
            )
        self.frames = [numbers[n] for n in range(first, last + 1)]

    def __len__(self) -> int:
        return len(self.frames)

    def check(self) -> tuple[str, int, int]:
        """Read every frame's bytes, without decoding them.

        Returns:
            A hash of all names and bytes, the height and the width.

        Raises:
            VideoError: a frame is cut off, no JPEG, or of another size than the first.
        """
        digest = hashlib.sha256()
        size: tuple[int, int] | None = None
        for file in self.frames:
            data = file.read_bytes()
            digest.update(f"{file.name}\0{len(data)}\0".encode() + data)
            if data[:2] != b"\xff\xd8" or data.rstrip(b"\0")[-2:] != b"\xff\xd9":
                raise VideoError(f"the frame {file.name} is cut off or no JPEG")
            found = open_jpeg(data, file).size
            if found != (size or found):
                raise VideoError(
                    f"the frame {file.name} has {found[0]} x {found[1]} pixels, the"
                    " first one has another size"
                )
            size = found
        width, height = size or (0, 0)
        return digest.hexdigest(), height, width


def open_jpeg(data: bytes, file: Path) -> Image:
    """The picture of a JPEG file, not yet decoded.

    Raises:
        VideoError: it is no JPEG, or larger than any picture.
    """
    from PIL import Image

    try:
        height, width = jpeg_size(data)
    except ValueError:
        raise VideoError(f"the frame {file.name} is cut off or no JPEG") from None
    see_possible(height, width)
    try:
        return Image.open(io.BytesIO(data), formats=["JPEG"])
    except OSError:
        raise VideoError(f"the frame {file.name} is cut off or no JPEG") from None


def _gaps(numbers: Sequence[int]) -> list[str]:
    """What lies between rising numbers, as text: stretches, and single ones."""
    return [
        str(low + 1) if high - low == 2 else f"{low + 1} to {high - 1}"
        for low, high in pairwise(numbers)
        if high - low > 1
    ]
