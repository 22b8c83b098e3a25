"""The stage `extract_frames`, frames stored as short-GOP video."""

import h5py
import numpy as np
import pytest
from PIL import Image

from ssdet.data.frame_store import FrameStore
from ssdet.data.hdf5 import get_attributes
from tests.data.packed import levels

pytest.importorskip("av")

VIDEO = {"video": {"gop": 4, "crf": 12}}


def test_both_storages_show_the_same(tmp_path, make_video, run):
    ramps = {"a": range(0, 250, 10), "b": range(250, 0, -10)}
    for name, ramp in ramps.items():
        make_video(tmp_path / f"videos/{name}.mp4", ramp, rate=25)
    as_jpeg = FrameStore(run(tmp_path / "videos", "ab").parent)
    kept = {name: as_jpeg.read(name, range(25)) for name in "ab"}
    infos = [as_jpeg.info(name) for name in "ab"]
    as_video = FrameStore(run(tmp_path / "videos", "ab", coding=VIDEO).parent)
    assert as_video.video_ids == ["a", "b"]
    assert [as_video.info(name) for name in "ab"] == infos
    for name, ramp in ramps.items():
        assert levels(as_video, name) == pytest.approx(ramp, abs=2.5)
        difference = as_video.read(name, range(25)).int() - kept[name].int()
        assert difference.abs().max() <= 4


def test_what_a_shard_says_of_itself(tmp_path, make_video, run):
    for name in "ab":
        make_video(tmp_path / f"videos/{name}.mp4", [9, 90] * 5)
    out = run(tmp_path / "videos", "ab", coding=VIDEO)
    with h5py.File(out) as file:
        attributes = get_attributes(file)
        assert set(file) == {"packets", "offsets", "lengths", "checksums", "index"}
    said = {key: attributes.get(key) for key in ("storage", "gop", "crf")}
    assert said == {"storage": "video", "gop": 4, "crf": 12.0}
    assert "jpeg_quality" not in attributes
    assert attributes["provenance"]["config"]["frames"]["video"]["gop"] == 4


def test_a_higher_rate_shows_pictures_twice(tmp_path, make_video, run):
    for name in "ab":
        make_video(tmp_path / f"videos/{name}.mp4", range(0, 240, 20), rate=10)
    store = FrameStore(run(tmp_path / "videos", "ab", fps=20.0, coding=VIDEO).parent)
    assert store.info("a").frames == 24
    assert levels(store, "a") == pytest.approx(np.repeat(range(0, 240, 20), 2), abs=2.5)
    backwards = store.read("a", range(23, -1, -3)).double().mean(dim=(0, 2, 3))
    expected = [20 * (i // 2) for i in range(23, -1, -3)]
    assert backwards.tolist() == pytest.approx(expected, abs=2.5)


def test_a_folder_of_frames(tmp_path, run):
    for name in "ab":
        folder = tmp_path / "videos" / name
        folder.mkdir(parents=True)
        for number in range(1, 10):
            image = np.full((48, 64, 3), 25 * number, np.uint8)
            Image.fromarray(image).save(folder / f"{name}-{number:06d}.jpg")
    store = FrameStore(
        run(tmp_path / "videos", "ab", coding=VIDEO, folder_fps=5).parent
    )
    assert levels(store, "b") == pytest.approx(range(25, 250, 25), abs=2.5)
