"""Generated frames to mp4 files, which carry what they were made from."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# With mbtree and B-frames x264 reads memory that it has not set, even in one thread: a
# few videos in a hundred would come out with other bytes in another process.
ENCODER = {"preset": "veryfast", "crf": "20", "x264-params": "mbtree=0"}


def check_encoder() -> None:
    """Make sure that there is an H.264 encoder.

    Raises:
        ValueError: PyAV is missing, or was built without libx264.
    """
    try:
        import av
    except ImportError:
        raise ValueError(
            "generated video needs PyAV, which is not installed: pip install av"
        ) from None
    try:
        av.Codec("libx264", "w")
    except ValueError:
        raise ValueError(
            f"PyAV {av.__version__} has no H.264 encoder (libx264); install the wheel"
            " from PyPI: pip install --force-reinstall av"
        ) from None


def encode(
    frames: Iterable[NDArray[np.uint8]], side: int, fps: int, comment: str
) -> bytes:
    """Encode RGB frames (side, side, 3) as H.264 in mp4.

    Equal arguments give equal bytes with the same version of PyAV and processor.
    """
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        container.metadata["comment"] = comment
        stream = container.add_stream("libx264", rate=fps, options=ENCODER)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for image in frames:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def comment_of(path: Path) -> str | None:
    """The comment that `encode` put into a file; None if there is no such video."""
    import av

    if not path.exists():
        return None
    try:
        with av.open(str(path)) as container:
            return container.metadata.get("comment")
    except av.FFmpegError:
        return None
