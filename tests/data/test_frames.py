"""The stage `extract_frames`: what it stores is what the videos show."""

import os

import h5py
import numpy as np
import pytest

from ssdet.data.frame_store import FrameStore
from ssdet.data.hdf5 import get_attributes
from ssdet.data.scaler import Scaler
from ssdet.data.video import Video
from ssdet.files import sha256
from tests.data.packed import levels

pytest.importorskip("av")


@pytest.mark.parametrize("workers", [0, 2])
def test_every_frame_of_every_video(tmp_path, make_video, run, workers):
    ramps = {"a": range(0, 250, 10), "b": range(250, 0, -10), "c": range(5, 100, 5)}
    for name, ramp in ramps.items():
        make_video(tmp_path / f"videos/{name}.mp4", ramp, rate=25)
    out = run(tmp_path / "videos", ["c", "b", "a", "gone"], workers=workers)
    store = FrameStore(out.parent)
    assert store.video_ids == ["a", "b", "c"]
    for name, ramp in ramps.items():
        info = store.info(name)
        assert (info.frames, info.fps, info.duration_s) == (
            len(ramp),
            25.0,
            len(ramp) / 25,
        )
        assert (info.height, info.width) == (48, 64)
        assert levels(store, name) == pytest.approx(ramp, abs=2.5)
    assert os.listdir(out.parent) == ["shard-000.h5"]


def test_root_attributes(tmp_path, make_video, run):
    for name in "ab":
        make_video(tmp_path / f"videos/{name}.mp4", [9] * 5)
    out = run(tmp_path / "videos", "ab", fps=5.0)
    with h5py.File(out) as file:
        attributes = get_attributes(file)
        assert file["jpeg"].chunks is None
    provenance = attributes.pop("provenance")
    digest = sha256(tmp_path / "inventory.csv")
    assert attributes == {
        "format": "ssdet_frames",
        "version": 1,
        "axes": "THWC",
        "complete": True,
        "dataset": "mine",
        "revision": 2,
        "shard": 0,
        "fps": 5.0,
        "short_side": 48,
        "jpeg_quality": 95,
        "shard_videos": 64,
        "inventory_sha256": digest,
    }
    assert provenance["stage"] == "extract_frames"
    assert provenance["config"]["frames"]["short_side"] == 48
    assert provenance["config"]["dataset"]["fps"] == 5.0
    assert provenance["parents"]["inventory"]["sha256"] == digest


def test_shards_follow_the_map(tmp_path, make_video, run):
    for name in "abde":
        make_video(tmp_path / f"videos/{name}.mp4", [9] * 5)
    ids = ["a", "b", "c", "d", "e"]  # c is missing, and keeps its place
    stored = []
    for shard in range(3):
        out = run(tmp_path / "videos", ids, shard=shard, shard_videos=2)
        with h5py.File(out) as file:
            stored.append([row.decode() for row in file["index"]["video_id"]])
    assert stored == [["a", "b"], ["d"], ["e"]]
    assert FrameStore(out.parent).video_ids == ["a", "b", "d", "e"]
    with pytest.raises(ValueError, match="no shard 3: 5 videos at 2 a shard"):
        run(tmp_path / "videos", ids, shard=3, shard_videos=2)


def test_a_shard_without_videos(tmp_path, make_video, run):
    for name in "ab":
        make_video(tmp_path / f"videos/{name}.mp4", [9] * 5)
    out = run(tmp_path / "videos", ["a", "b", "c"], shard=1, shard_videos=2)
    assert FrameStore(out.parent).video_ids == []


def test_another_rate(tmp_path, make_video, run):
    """30 frames/s to 24: frame i is the one that is shown at (i + 0.5) / 24 s."""
    ramp = [4 * i for i in range(60)]
    for name in "ab":
        make_video(tmp_path / f"videos/{name}.mp4", ramp, rate=30)
    store = FrameStore(run(tmp_path / "videos", "ab", fps=24.0).parent)
    assert (store.info("a").frames, store.info("a").fps) == (48, 24.0)
    assert store.info("a").duration_s == pytest.approx(2.0)
    expected = [4 * int((i + 0.5) * 30 / 24) for i in range(48)]
    assert levels(store, "a") == pytest.approx(expected, abs=1.9)


def test_variable_rate(tmp_path, make_video, run):
    greys, times = [50, 100, 150, 200], [0.0, 0.1, 0.5, 0.6]
    for name in "ab":
        make_video(tmp_path / f"videos/{name}.mkv", greys, times_s=times)
    store = FrameStore(run(tmp_path / "videos", "ab", fps=10.0).parent)
    expected = [50, 100, 100, 100, 100, 150, 200]
    assert levels(store, "a")[:7] == pytest.approx(expected, abs=2)


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((64, 48), 24, (24, 32)),
        ((64, 48), 96, (96, 128)),  # enlarged: all videos have one short side
        ((48, 64), 24, (32, 24)),
        ((70, 48), 24, (24, 36)),  # 35 is made even
    ],
)
def test_size(tmp_path, make_video, run, size, short_side, expected):
    for name in "ab":
        make_video(tmp_path / f"videos/{name}.mp4", [80] * 3, size=size)
    store = FrameStore(run(tmp_path / "videos", "ab", short_side=short_side).parent)
    assert (store.info("a").height, store.info("a").width) == expected
    assert store.read("a", [0]).shape == (3, 1, *expected)
    assert levels(store, "a") == pytest.approx([80] * 3, abs=2)


def test_rotation(tmp_path, make_video, run):
    image = np.full((48, 64, 3), 60, np.uint8)
    image[:24, :32] = 200  # upper left; turned clockwise: upper right
    for name in "ab":
        make_video(tmp_path / f"videos/{name}.mp4", [image] * 2, rotation=-90)
    frames = FrameStore(run(tmp_path / "videos", "ab").parent).read("a", [0])[:, 0]
    assert frames.shape == (3, 64, 48)
    assert frames[:, :30, 26:].double().mean() == pytest.approx(200, abs=3)
    assert frames[:, :30, :22].double().mean() == pytest.approx(60, abs=3)
    assert frames[:, 34:].double().mean() == pytest.approx(60, abs=3)


def test_real_videos_frame_by_frame(shared, run):
    """Each stored frame is the decoded one, up to the loss of JPEG."""
    videos = shared / "data/videos"
    ids = ["h265", "rotated_90", "short_clip"]
    store = FrameStore(run(videos, ids, short_side=128).parent)
    shape = {v: (store.info(v).height, store.info(v).width) for v in ids}
    assert shape["h265"] == (128, 128)
    assert shape["rotated_90"] == (228, 128)  # 227.2, upright
    assert shape["short_clip"] == (128, 170)  # 170.67
    scale = Scaler(128, 170, 0)
    with Video(videos / "short_clip.avi") as video:
        decoded = [np.asarray(scale(s.frame)) for s in video.frames()]
    stored = store.read("short_clip", range(164)).permute(1, 2, 3, 0).numpy()
    difference = np.abs(stored.astype(int) - np.stack(decoded))
    assert difference.mean(axis=(1, 2, 3)).max() < 2
    neighbours = np.abs(stored[:-1].astype(int) - np.stack(decoded)[1:])
    assert neighbours.mean() > 2 * difference.mean()


def test_changed_videos_are_named_together(tmp_path, make_video, run):
    for name in "abc":
        make_video(tmp_path / f"videos/{name}.mp4", [9] * 5)
    out = run(tmp_path / "videos", "abc")
    out.unlink()
    make_video(tmp_path / "videos/a.mp4", [9] * 6)
    (tmp_path / "videos/c.mp4").unlink()
    with pytest.raises(ValueError) as caught:
        run(tmp_path / "videos", "abc")
    message = str(caught.value)
    assert "2 of 3 videos in shard 0 of mine cannot be used" in message
    assert "\n  a: the file has changed since the inventory (" in message
    assert "\n  c: [Errno 2] No such file or directory" in message
    assert message.endswith("Run `inventory` again, or restore the files")
    assert os.listdir(out.parent) == []


def test_what_a_killed_run_left_is_cleared(tmp_path, make_video, run):
    for name in "ab":
        make_video(tmp_path / f"videos/{name}.mp4", [9] * 5)
    left = tmp_path / "frames/.shard-000.h5.parts"
    left.mkdir(parents=True)
    (left / "0.jpegs").write_bytes(b"old")
    out = run(tmp_path / "videos", "ab")
    assert os.listdir(out.parent) == ["shard-000.h5"]
    assert len(levels(FrameStore(out.parent), "a")) == 5
