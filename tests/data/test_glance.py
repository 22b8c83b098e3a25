"""A quick look agrees with decoding everything, where nothing is hidden deeper."""

import io

import numpy as np
import pytest
from PIL import Image

from ssdet.data.glance import Glance, died, glance
from ssdet.data.video import probe

pytest.importorskip("av")


@pytest.mark.parametrize(
    ("file", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.avi", "mpeg4"),
        ("a.mov", "mpeg4"),
    ],
)
def test_rate_and_length_as_decoding_finds_them(tmp_path, make_video, file, codec):
    path = make_video(tmp_path / file, [9] * 30, rate=25, codec=codec)
    look, found = glance(path, None), probe(path)
    assert look.reason == ""
    assert look.fps == pytest.approx(25)
    assert look.duration_s == pytest.approx(found.duration_s, abs=0.05)


def test_a_folder_of_frames(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    data = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(data, "JPEG")
    for n in range(1, 13):
        (folder / f"a-{n:06d}.jpg").write_bytes(data.getvalue())
    assert glance(folder, 24.0) == Glance("", 24.0, 0.5)
    assert "does not tell their rate" in glance(folder, None).reason
    (folder / "a-000001.jpg").write_text("no picture")
    assert glance(folder, 24.0).reason == "the frame a-000001.jpg is cut off or no JPEG"
    (folder / "a-000005.jpg").unlink()
    assert glance(folder, 24.0).reason == "frames 5 of 1 to 12 are missing"


def test_what_is_no_video(tmp_path):
    text = tmp_path / "a.mp4"
    text.write_text("a page that says that the video is gone")
    assert glance(text, None).reason.startswith("not a video: ")
    text.write_bytes(b"")
    assert glance(text, None).reason == "the file is empty"
    text.unlink()
    assert glance(text, None).reason == "cannot be read: No such file or directory"
    assert "killed the process" in died(text).reason


def test_a_header_without_pictures(tmp_path, make_video):
    """Its tables are whole, and what they lead to is not there."""
    path = make_video(tmp_path / "a.mp4", [9] * 30)
    data = path.read_bytes()
    begin, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    path.write_bytes(data[:begin] + bytes(end - begin) + data[end:])
    reason = glance(path, None).reason
    assert "no frame could be decoded" in reason or "decoding stopped" in reason
