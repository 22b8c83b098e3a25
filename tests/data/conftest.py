"""Tiny videos whose pictures are known: each frame has one grey level."""

from fractions import Fraction

import numpy as np
import pytest


@pytest.fixture
def make_video():
    """A function that writes a video and gives its path.

    greys: level 0..255 of each frame, or whole pictures (H, W, 3). times_s: when each
    frame is shown; otherwise `rate` frames/s. rotation: degrees counterclockwise, as
    side data.
    """
    av = pytest.importorskip("av")

    def make(
        path,
        greys,
        rate=10,
        codec="libx264",
        size=(64, 48),
        times_s=None,
        rotation=None,
        options=(),
        container_options=(),
        shift_s=0.0,
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", options=dict(container_options)) as container:
            stream = container.add_stream(codec, rate=rate, options=dict(options))
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.codec_context.thread_count = 1
            stream.codec_context.time_base = Fraction(1, 1000 if times_s else rate)
            if rotation is not None:
                stream.set_display_rotation(rotation)
            for i, grey in enumerate(greys):
                if np.ndim(grey) == 0:
                    grey = np.full((size[1], size[0], 3), grey, np.uint8)
                frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
                frame.time_base = stream.codec_context.time_base
                frame.pts = round(times_s[i] * 1000) if times_s else i
                frame.pts += round(shift_s / frame.time_base)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return make
