"""Tiny videos whose pictures are known: each frame has one grey level."""

import json
from fractions import Fraction

import numpy as np
import pytest

from ssdet.data import frames, inventory

RECIPE = {"format": "table", "mean": [0, 0, 0], "std": [1, 1, 1], "segments": "refuse"}


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


@pytest.fixture
def run(tmp_path):
    """A function that makes the inventory of a folder and one shard of frames."""

    def run(
        videos,
        ids,
        fps=None,
        short_side=48,
        shard=0,
        shard_videos=64,
        workers=0,
        coding=(("jpeg_quality", 95),),
        folder_fps=None,
    ):
        labels = tmp_path / "labels.csv"
        rows = [
            f"{name},0,0.1,run,{('train', 'test')[i % 2]}" for i, name in enumerate(ids)
        ]
        labels.write_text("video_id,start_s,end_s,label,split\n" + "\n".join(rows))
        dataset = json.dumps({**RECIPE, "fps": fps})
        table = tmp_path / "inventory.csv"
        if not table.exists():
            inventory.main(
                [
                    *("--name", "mine", "--dataset", dataset, "--classes", ""),
                    *("--training", str(labels), "--testing", str(labels)),
                    *("--videos", str(videos), "--out", str(table)),
                    *("--data", '{"max_missing_fraction": 0.5, "exclude": []}'),
                    *(() if folder_fps is None else ("--folder-fps", str(folder_fps))),
                ]
            )
        sizes = {"short_side": short_side, **dict(coding)}
        out = tmp_path / f"frames/shard-{shard:03d}.h5"
        frames.main(
            [
                *("--name", "mine", "--inventory", str(table), "--dataset", dataset),
                "--frames",
                json.dumps({**sizes, "shard_videos": shard_videos}),
                *("--shard", str(shard), "--workers", str(workers), "--out", str(out)),
            ]
        )
        return out

    return run
