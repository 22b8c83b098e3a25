"""Folders of frames: order, gaps, damage; then through the inventory and packing."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from ssdet.data import frames, inventory
from ssdet.data.frame_folder import FrameFolder, folder_fps
from ssdet.data.frame_store import FrameStore
from ssdet.data.inventory import read_inventory
from ssdet.data.probed import probe_folder
from ssdet.data.video import VideoError
from ssdet.data.video_files import find_videos

CHARADES = "{id}-{n:06d}.jpg"
KINETICS = "frame_{n:05d}.jpg"


def jpeg(grey, size=(48, 64), quality=95):
    data = io.BytesIO()
    image = Image.fromarray(np.full((*size, 3), grey, np.uint8))
    image.save(data, "JPEG", quality=quality)
    return data.getvalue()


def put(folder, greys, name=CHARADES, first=1, **options):
    """A folder of frames of these grey levels."""
    folder.mkdir(parents=True)
    for n, grey in enumerate(greys, start=first):
        path = folder / name.format(id=folder.name, n=n)
        path.write_bytes(jpeg(grey, **options))
    return folder


@pytest.mark.parametrize(
    ("name", "first"),
    [(CHARADES, 1), (KINETICS, 1), ("{n}.JPEG", 0), ("x9_{n}.jpg", 1)],
)
def test_frames_in_order_of_their_numbers(tmp_path, name, first):
    folder = put(tmp_path / "A1", range(0, 240, 20), name, first)
    (folder / "Thumbs.db").write_text("of no interest")
    found = FrameFolder(folder)
    assert len(found) == 12
    assert [path.name for path in found.frames[8:]] == [
        name.format(id="A1", n=n) for n in range(8 + first, 12 + first)
    ]


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        ([3], "frames 3 of 1 to 30 are missing"),
        ([1], "frames 1 of 1 to 30 are missing"),
        ([4, 5, 6, 9], "frames 4 to 6, 9 of 1 to 30 are missing"),
        (
            range(2, 20, 2),
            r"frames 2, 4, 6, 8, 10, \.\.\. of 1 to 30 are missing",
        ),
    ],
)
def test_gaps_are_named(tmp_path, absent, message):
    folder = put(tmp_path / "A1", [0] * 30)
    for n in absent:
        (folder / CHARADES.format(id="A1", n=n)).unlink()
    with pytest.raises(VideoError, match=message):
        FrameFolder(folder)


def test_what_is_no_video(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match="holds no JPEG frames"):
        FrameFolder(tmp_path / "empty")
    folder = put(tmp_path / "A1", [0] * 3)
    (folder / "cover.jpg").write_bytes(jpeg(0))
    with pytest.raises(VideoError, match=r"cover.jpg has no number"):
        FrameFolder(folder)
    (folder / "cover.jpg").rename(folder / "B2-000004.jpg")
    with pytest.raises(VideoError, match="names begin differently: 'A1-', 'B2-'"):
        FrameFolder(folder)
    (folder / "B2-000004.jpg").rename(folder / "A1-3.jpg")
    with pytest.raises(VideoError, match="two frames have number 3"):
        FrameFolder(folder)


def test_what_a_folder_tells(tmp_path):
    folder = put(tmp_path / "A1", range(60))
    found = probe_folder(folder, 24.0)
    assert (found.status, found.reason, found.codec) == ("ok", "", "jpeg")
    assert (found.frames, found.fps, found.duration_s) == (60, 24.0, 2.5)
    assert (found.height, found.width, found.rotation) == (48, 64, 0)
    assert probe_folder(folder, 24.0) == found
    (folder / "A1-000007.jpg").write_bytes(jpeg(200))
    assert probe_folder(folder, 24.0).sha256 != found.sha256


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the frame A1-000002.jpg is cut off or no JPEG"),
        (jpeg(9)[:-20], "the frame A1-000002.jpg is cut off or no JPEG"),
        (b"GIF89a", "the frame A1-000002.jpg is cut off or no JPEG"),
        (b"\xff\xd8\xff\xd9", "the frame A1-000002.jpg is cut off or no JPEG"),
        (jpeg(9, (20, 64)), "A1-000002.jpg has 64 x 20 pixels, the first one has"),
    ],
    ids=["empty", "truncated", "another format", "nothing inside", "another size"],
)
def test_a_bad_frame_is_named(tmp_path, data, reason):
    folder = put(tmp_path / "A1", [9] * 4)
    (folder / "A1-000002.jpg").write_bytes(data)
    found = probe_folder(folder, 24.0)
    assert found.status == "corrupt"
    assert reason in found.reason


def test_a_folder_of_unknown_rate_is_told(tmp_path):
    found = probe_folder(put(tmp_path / "A1", [9]), None)
    assert (found.status, found.frames) == ("corrupt", 0)
    assert "does not tell their rate: set the data set's fps" in found.reason


def test_rates():
    assert folder_fps("charades", None) == folder_fps("charades", 12.0) == 24.0
    assert folder_fps("kinetics", None) is None
    assert folder_fps("table", 30.0) == 30.0


# ----------------------------------------------------------------------------- finding


def test_folders_and_files_are_found_by_their_names(tmp_path):
    put(tmp_path / "deep/A1", [9])
    (tmp_path / "B2").mkdir()
    for file in ("B2/B2.mp4", "B2/B2-000001.jpg", "C3.mp4"):
        (tmp_path / file).touch()
    put(tmp_path / "no label", [9])
    found = find_videos(tmp_path, ["A1", "B2", "C3", "D4"], "mine")
    assert found == {
        "A1": tmp_path / "deep/A1",
        "B2": tmp_path / "B2/B2.mp4",  # with a picture beside it
        "C3": tmp_path / "C3.mp4",
    }


def test_other_names_of_a_video(tmp_path):
    """Kinetics: only folders may have the short name; ActivityNet: all may."""
    put(tmp_path / "zumba/a_b", [9], KINETICS)
    (tmp_path / "x.mp4").touch()  # the whole video, not the clip of it
    also = {"a_b_000001_000011": ("a_b/",), "x_000001_000011": ("x/",), "v_y": ("y",)}
    (tmp_path / "y.mp4").touch()
    found = find_videos(tmp_path, list(also), "mine", also)
    assert found == {
        "a_b_000001_000011": tmp_path / "zumba/a_b",
        "v_y": tmp_path / "y.mp4",
    }


def test_a_name_that_two_videos_may_have_is_nobodys(tmp_path):
    put(tmp_path / "x", [9], KINETICS)
    also = {"x_000001_000011": ("x/",), "x_000020_000030": ("x/",)}
    assert find_videos(tmp_path, list(also), "mine", also) == {}


def test_a_folder_beside_a_file_of_the_same_video(tmp_path):
    put(tmp_path / "A1", [9])
    (tmp_path / "A1.mp4").touch()
    with pytest.raises(ValueError, match=r"A1: .*/A1, .*/A1.mp4"):
        find_videos(tmp_path, ["A1"], "mine")


# ---------------------------------------------------------------------- the two stages

LABELS = "id,actions,length\n"


@pytest.fixture
def stages(tmp_path):
    """A function: inventory and frames of tmp_path/videos, as of Charades."""

    def run(ids, fps=24.0, short_side=48, workers=0, lost=0.0):
        labels, out = tmp_path / "labels.csv", tmp_path / "results"
        half = len(ids) // 2
        for name, some in (("training", ids[:half]), ("testing", ids[half:])):
            rows = [f"{video},c000 0 1,2\n" for video in some]
            labels.with_name(name).write_text(LABELS + "".join(rows))
        inventory.main(
            [
                *("--name", "mine", "--classes", "", "--workers", str(workers)),
                *("--dataset", '{"format": "charades", "segments": "repair"}'),
                *("--training", str(labels.with_name("training"))),
                *("--testing", str(labels.with_name("testing"))),
                *("--videos", str(tmp_path / "videos"), "--folder-fps", "24"),
                *("--data", json.dumps({"max_missing_fraction": lost, "exclude": []})),
                *("--out", str(out / "inventory.csv")),
            ]
        )
        recipe = {"short_side": short_side, "jpeg_quality": 95, "shard_videos": 64}
        frames.main(
            [
                *("--name", "mine", "--inventory", str(out / "inventory.csv")),
                *("--dataset", json.dumps({"fps": fps})),
                *("--frames", json.dumps(recipe), "--workers", str(workers)),
                *("--shard", "0", "--out", str(out / "frames/shard-000.h5")),
            ]
        )
        rows = {row.video_id: row for row in read_inventory(out / "inventory.csv")}
        return rows, FrameStore(out / "frames")

    return run


def levels(store, video_id):
    pictures = store.read(video_id, range(store.info(video_id).frames))
    return pictures.double().mean(dim=(0, 2, 3)).tolist()


@pytest.mark.parametrize("workers", [0, 2])
def test_folders_become_packed_frames(tmp_path, stages, workers):
    greys = [5 * n for n in range(48)]
    put(tmp_path / "videos/A1", greys)
    put(tmp_path / "videos/B2", greys[::-1])
    rows, store = stages(["A1", "B2"], workers=workers)
    assert (rows["A1"].frames, rows["A1"].fps, rows["A1"].duration_s) == (48, 24.0, 2)
    assert rows["A1"].path == str(tmp_path / "videos/A1")
    info = store.info("A1")
    assert (info.frames, info.fps, info.height, info.width) == (48, 24.0, 48, 64)
    assert levels(store, "A1") == pytest.approx(greys, abs=2.5)
    assert levels(store, "B2") == pytest.approx(greys[::-1], abs=2.5)


def test_frames_of_the_right_size_keep_their_bytes(tmp_path, stages):
    put(tmp_path / "videos/A1", range(0, 200, 40), quality=70)
    put(tmp_path / "videos/B2", [9] * 5, size=(96, 128))
    _, store = stages(["A1", "B2"])
    packed = (tmp_path / "results/frames/shard-000.h5").read_bytes()
    for file in sorted((tmp_path / "videos/A1").iterdir()):
        assert file.read_bytes() in packed
    assert store.info("B2").height == 48  # scaled
    assert levels(store, "B2") == pytest.approx([9] * 5, abs=2)


def test_another_rate_takes_the_frames_shown_then(tmp_path, stages):
    greys = [5 * n for n in range(48)]
    put(tmp_path / "videos/A1", greys)
    put(tmp_path / "videos/B2", greys)
    rows, store = stages(["A1", "B2"], fps=12.0)
    assert rows["A1"].fps == 24.0  # the release's own
    assert store.info("A1").frames == 24
    assert levels(store, "A1") == pytest.approx(greys[1::2], abs=2.5)


def test_a_gap_is_an_error_of_the_inventory(tmp_path, stages):
    for name in ("A1", "B2", "C3"):
        put(tmp_path / f"videos/{name}", [9] * 48)
    (tmp_path / "videos/C3/C3-000007.jpg").unlink()
    with pytest.raises(ValueError, match=r"C3: corrupt, frames 7 of 1 to 48 are miss"):
        stages(["A1", "B2", "C3"])
    rows, store = stages(["A1", "B2", "C3"], lost=0.4)
    assert rows["C3"].reason == "frames 7 of 1 to 48 are missing"
    assert store.video_ids == ["A1", "B2"]


def test_frames_that_changed_since_the_inventory(tmp_path, stages, monkeypatch):
    put(tmp_path / "videos/A1", [9] * 4)
    put(tmp_path / "videos/B2", [9] * 4)
    stages(["A1", "B2"])
    (tmp_path / "videos/B2/B2-000002.jpg").write_bytes(jpeg(77))
    monkeypatch.setattr(inventory, "main", lambda _: None)
    with pytest.raises(
        ValueError, match="B2: the file has changed since the inventory"
    ):
        stages(["A1", "B2"])


def test_a_frame_of_a_far_number_is_no_long_search(tmp_path):
    for number in ("1", "2", "4", "9" * 30):
        (tmp_path / f"frame_{number}.jpg").write_bytes(b"")
    with pytest.raises(VideoError, match=r"frames 3, 5 to 9{29}8 of 1 to 9{30} are"):
        FrameFolder(tmp_path)
