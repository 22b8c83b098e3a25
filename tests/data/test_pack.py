"""Sampling of frames by time, and packing of a video."""

import numpy as np
import pytest

from ssdet.config import StoredFrames
from ssdet.data.pack import Failed, PackJob, Sampler, pack_video
from ssdet.files import sha256


def sampled(ends_s, fps):
    """Which source frame each output frame shows, of frames that end at these times."""
    sampler, shown = Sampler(fps), []
    for source, end_s in enumerate(ends_s):
        shown += [source] * sampler.copies(end_s)
    excess = sampler.excess(ends_s[-1])
    return (
        shown[: len(shown) - excess] if excess >= 0 else [*shown, *[source] * -excess]
    )


@pytest.mark.parametrize(
    ("ends_s", "fps", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4], 10, [0, 1, 2, 3]),
        # Half the rate: shown at 0.1 and 0.3 s, where frames 1 and 3 have just begun.
        ([0.1, 0.2, 0.3, 0.4], 5, [1, 3]),
        ([0.1, 0.2, 0.3, 0.4], 20, [0, 0, 1, 1, 2, 2, 3, 3]),
        # Shown at 0.05, 0.15, ... 0.65: the second frame lasts from 0.1 to 0.5.
        ([0.1, 0.5, 0.6, 0.7], 10, [0, 1, 1, 1, 1, 2, 3]),
        ([0.001], 10, [0]),  # at least one
        ([0.1, 0.34], 10, [0, 1, 1]),  # round(3.4) = 3
        ([0.1, 0.35], 10, [0, 1, 1, 1]),  # round(3.5) = 4: the last one is held
        ([0.1, 0.2, 0.2, 0.3], 10, [0, 1, 3]),  # a frame shown for no time
    ],
)
def test_output_frame_shows_what_the_video_shows_in_its_middle(ends_s, fps, expected):
    assert sampled(ends_s, fps) == expected


@pytest.mark.parametrize("fps", [24, 25, 29.97, 30000 / 1001, 23.976, 19.62, 50, 1 / 3])
def test_the_same_rate_takes_every_frame_once(fps):
    ends = [(i + 1) / fps for i in range(5000)]
    assert sampled(ends, fps) == list(range(5000))
    rounded = [round(end, 3) for end in ends]  # as in Matroska
    assert sampled(rounded, fps) == list(range(5000))


def test_rate_of_charades():
    """30 frames/s to 24: the middle of output frame i lies in source frame
    (i + 0.5) * 1.25."""
    shown = sampled([(i + 1) / 30 for i in range(300)], 24)
    assert shown == [int((i + 0.5) * 1.25) for i in range(240)]


STORED = StoredFrames(short_side=48, shard_videos=64, jpeg_quality=95)


def job(path, out, **changes):
    values = {
        "video_id": "a",
        "path": str(path),
        "sha256": sha256(path),
        "frames": 4,
        "fps": 10.0,
        "stored": STORED,
        "out": out,
    }
    return PackJob(**{**values, **changes})


def test_repeated_pictures_share_their_bytes(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", [20, 90, 160, 230])
    packed = pack_video(job(path, tmp_path / "out", fps=20.0))
    assert len(packed.offsets) == 8
    assert packed.offsets[0::2].tolist() == packed.offsets[1::2].tolist()
    assert (tmp_path / "out").stat().st_size == packed.lengths[::2].sum()
    assert (packed.duration_s, packed.height, packed.width) == (0.4, 48, 64)


def test_a_video_packed_again_gives_the_same_bytes(tmp_path, make_video):
    y, x = np.mgrid[:48, :64]
    pictures = [np.stack([4 * x, 5 * y, 3 * x + 20 * t], -1) % 256 for t in range(4)]
    path = make_video(tmp_path / "a.mp4", [p.astype(np.uint8) for p in pictures])
    for part in "bc":
        pack_video(job(path, tmp_path / part))
    assert (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def test_failures(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", [20, 90, 160, 230])
    out = tmp_path / "out"
    assert pack_video(job(path, out, sha256="00")) == Failed(
        "a", str(path), "the file has changed since the inventory"
    )
    wrong = pack_video(job(path, out, frames=5))
    assert wrong.reason == "4 frames were decoded, the inventory has 5"
    path.write_bytes(path.read_bytes()[:500])
    assert "not a video" in pack_video(job(path, out)).reason
    digest = sha256(path)
    path.unlink()
    gone = pack_video(PackJob("a", str(path), digest, 4, 10.0, STORED, out))
    assert "No such file" in gone.reason
