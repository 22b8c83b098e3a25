"""The stage `inventory`: every annotated video once, the losses, the interruption."""

import json
import os
import shutil
from dataclasses import replace

import pytest

from ssdet.data import inventory, probed
from ssdet.data.inventory import InventoryRow, main, read_inventory, write_inventory
from ssdet.files import sha256

pytest.importorskip("av")

RECIPE = {"format": "table", "fps": None, "mean": [0, 0, 0], "std": [1, 1, 1]}
ROWS = "video_id,start_s,end_s,label,split\n"


@pytest.fixture
def run(tmp_path):
    """A function that runs the stage on tmp_path/videos and gives the csv's path."""
    (tmp_path / "videos").mkdir()

    def run(rows, segments="refuse", allowed=0.0, exclude=(), workers=0, videos=None):
        labels = tmp_path / "labels.csv"
        labels.write_text(ROWS + rows)
        out = tmp_path / "results/inventory.csv"
        main(
            [
                *("--name", "mine", "--classes", ""),
                *("--dataset", json.dumps({**RECIPE, "segments": segments})),
                *("--training", str(labels), "--testing", str(labels)),
                *("--videos", str(videos or tmp_path / "videos")),
                "--data",
                json.dumps({"max_missing_fraction": allowed, "exclude": list(exclude)}),
                *("--workers", str(workers), "--out", str(out)),
            ]
        )
        return out

    return run


@pytest.mark.parametrize("workers", [0, 2])
def test_good_missing_corrupt_excluded(tmp_path, make_video, run, workers):
    videos = tmp_path / "videos"
    good = make_video(videos / "deep/er/good.mp4", range(0, 240, 10))
    make_video(videos / "avi.AVI", [9] * 5, rate=25, codec="mpeg4", size=(32, 48))
    make_video(videos / "out.mp4", [9] * 5)
    (videos / "text.mp4").write_text("not a video")
    (videos / "empty.mp4").touch()
    (videos / "good.txt").write_text("a note")  # no video, though of the same stem
    make_video(videos / "unlabelled.mp4", [9])
    rows = (
        "good,0,2.4,run,train\navi,,,,test\nout,0,9,run,test\ntext,0,9,run,train\n"
        "empty,,,,test\ngone,0,9,run,train\n"
    )
    out = run(rows, allowed=0.5, exclude=["out", "of another set"], workers=workers)
    found = {row.video_id: row for row in read_inventory(out)}
    assert list(found) == ["avi", "empty", "gone", "good", "out", "text"]
    assert found["good"] == InventoryRow(
        "good",
        str(good),
        10.0,
        24,
        2.4,
        64,
        48,
        0,
        "h264",
        sha256(good),
        "ok",
        "",
    )
    assert (found["avi"].fps, found["avi"].frames) == (25.0, 5)
    assert (found["avi"].width, found["avi"].height) == (32, 48)
    assert found["empty"].status == "corrupt"
    assert found["empty"].reason == "the file is empty"
    assert found["text"].status == "corrupt"
    assert found["text"].reason.startswith("not a video: ")
    assert (found["text"].frames, found["text"].fps) == (0, 0.0)
    assert (found["gone"].status, found["gone"].path) == ("missing", "")
    assert found["gone"].reason == "no video file of this name"
    assert found["out"].status == "excluded"
    assert found["out"].reason == "listed in data.exclude"
    names = ["inventory.csv", "inventory.json"]  # no .resume, nothing temporary
    assert sorted(os.listdir(out.parent)) == names
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["sha256"] == sha256(out)
    assert record["provenance"]["stage"] == "inventory"
    assert "out" in record["provenance"]["config"]["data"]["exclude"]
    assert "\ngone,,,,,,,,,,missing,no video file of this name\n" in out.read_text()


def test_real_videos(shared, run):
    rows = "corrupted,0,1,x,train\nh265,0,1,x,train\nrotated_90,0,0.1,x,test\n"
    out = run(rows, allowed=0.4, videos=shared / "data/videos")
    broken, h265, rotated = read_inventory(out)
    assert broken.status == "corrupt"
    assert "decoding stopped after 28 frames" in broken.reason
    assert broken.sha256 == sha256(shared / "data/videos/corrupted.mp4")
    assert (h265.codec, h265.frames, h265.fps) == ("hevc", 10, 10.0)
    assert (rotated.width, rotated.height, rotated.rotation) == (320, 568, 90)


def test_too_many_losses_are_one_error_that_says_what_to_do(tmp_path, make_video, run):
    make_video(tmp_path / "videos/good.mp4", [9] * 5)
    make_video(tmp_path / "videos/also.mp4", [9] * 5)
    (tmp_path / "videos/bad.mp4").write_text("not a video")
    rows = "good,,,,train\nalso,0,0.5,run,test\nbad,,,,train\ngone,0,0.1,run,train\n"
    with pytest.raises(ValueError) as caught:
        run(rows, allowed=0.25)
    message = str(caught.value)
    for part in (
        "2 of the 4 annotated videos of mine are missing or corrupt,"
        " data.max_missing_fraction (0.25) allows 1:",
        "\n  bad: corrupt, not a video: ",
        f"({tmp_path / 'videos/bad.mp4'})",
        "\n  gone: missing, no video file of this name\n",
        "datasets.mine.videos",
        "data.exclude",
        "raising data.max_missing_fraction",
    ):
        assert part in message
    assert not (tmp_path / "results/inventory.csv").exists()
    # What was probed is kept for the next run, and goes when that succeeds.
    assert os.listdir(tmp_path / "results") == ["inventory.csv.resume"]
    out = run(rows, allowed=0.5)
    statuses = [row.status for row in read_inventory(out)]
    assert statuses == ["ok", "corrupt", "missing", "ok"]
    names = ["inventory.csv", "inventory.json"]
    assert sorted(os.listdir(tmp_path / "results")) == names


def test_losses_are_named_up_to_twenty(make_video, tmp_path, run):
    make_video(tmp_path / "videos/a.mp4", [9] * 5)
    make_video(tmp_path / "videos/b.mp4", [9] * 5)
    rows = "a,0,0.1,run,train\nb,,,,test\n"
    rows += "".join(f"v{i:02d},,,,train\n" for i in range(25))
    with pytest.raises(
        ValueError, match=r"25 of the 27(?s:.*)v19: missing.*\n  ... and 5 more\n"
    ):
        run(rows)


def test_exclusion_is_no_loss(make_video, tmp_path, run):
    make_video(tmp_path / "videos/a.mp4", [9] * 5)
    make_video(tmp_path / "videos/b.mp4", [9] * 5)
    rows = "a,0,0.1,run,train\nb,,,,test\nc,,,,test\n"
    assert read_inventory(run(rows, exclude=["c"]))[2].status == "excluded"


def test_a_split_without_usable_videos(make_video, tmp_path, run):
    make_video(tmp_path / "videos/a.mp4", [9] * 5)
    with pytest.raises(
        ValueError, match=r"mine has no usable video of split testing:\n  b: missing"
    ):
        run("a,0,0.1,run,train\nb,,,,test\n", allowed=1.0)


def test_the_folder_must_exist(tmp_path, run):
    with pytest.raises(
        ValueError, match=r"no folder of videos at .*nowhere .*datasets.mine.videos"
    ):
        run("a,0,1,run,train\nb,,,,test\n", videos=tmp_path / "nowhere")


def test_two_files_of_one_name(tmp_path, make_video, run):
    for name in ("x/a.mp4", "y/a.avi", "b.mp4"):
        make_video(tmp_path / "videos" / name, [9], codec="mpeg4")
    with pytest.raises(
        ValueError,
        match=r"1 videos of mine have several files(?s:.*)a: .*x/a.mp4, .*y/a.avi",
    ):
        run("a,0,0.1,run,train\nb,,,,test\n")


def test_a_path_that_is_no_text(tmp_path, make_video, run):
    path = make_video(tmp_path / "videos/a.mp4", [9])
    folder = os.fsencode(tmp_path / "videos") + b"/l\xe4uft"
    os.mkdir(folder)
    os.rename(path, folder + b"/a.mp4")
    with pytest.raises(
        ValueError, match=r"1 videos of mine are not UTF-8 text; rename"
    ):
        run("a,0,0.1,run,train\nb,,,,test\n")


def test_a_link_in_a_circle_is_followed_once(tmp_path, make_video, run):
    make_video(tmp_path / "videos/a.mp4", [9] * 5)
    make_video(tmp_path / "elsewhere/b.mp4", [9] * 5)
    (tmp_path / "videos/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "videos")
    rows = read_inventory(run("a,0,0.1,run,train\nb,,,,test\n"))
    assert [row.status for row in rows] == ["ok", "ok"]


def test_bad_labels_stop_it_before_probing(tmp_path, make_video, run, monkeypatch):
    make_video(tmp_path / "videos/a.mp4", [9] * 5)
    monkeypatch.setattr(inventory, "probe_all", lambda *_: pytest.fail("probed"))
    with pytest.raises(ValueError, match="label empty"):
        run("a,0,1,,train\nb,,,,test\n")


def test_labels_are_checked_with_the_durations_of_the_videos(
    tmp_path, make_video, run, caplog
):
    for name in "ab":
        make_video(tmp_path / f"videos/{name}.mp4", [9] * 5)
    rows = "a,0,0.5,run,train\nb,0.1,0.9,run,test\n"
    with pytest.raises(
        ValueError, match=r"\(b\): run from 0.1 s to 0.9 s is past the end, .* 0.5 s"
    ):
        run(rows)
    assert not (tmp_path / "results/inventory.csv").exists()
    with caplog.at_level("INFO"):
        run(rows, segments="repair")
    assert "mine: irregular labels: 1 past end" in caplog.text


def test_an_interrupted_run_goes_on(tmp_path, make_video, run, monkeypatch):
    for name in "abc":
        make_video(tmp_path / f"videos/{name}.mp4", [9] * 5)
    rows = "a,0,0.1,run,train\nb,,,,test\nc,,,,test\n"
    real, seen = probed.probe_file, []

    def killed(path):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(path.stem)
        return real(path)

    monkeypatch.setattr(inventory, "probe_file", killed)
    with pytest.raises(KeyboardInterrupt):
        run(rows)
    memory = tmp_path / "results/inventory.csv.resume/probed.jsonl"
    with open(memory, "a") as file:
        file.write('["half written')
    # A changed file is probed again, also if its size is the same.
    changed = tmp_path / f"videos/{seen[0]}.mp4"
    make_video(changed, [9] * 7)
    again = []

    def counted(path):
        again.append(path.stem)
        return real(path)

    monkeypatch.setattr(inventory, "probe_file", counted)
    result = {row.video_id: row for row in read_inventory(run(rows))}
    assert sorted(again) == sorted({"a", "b", "c"} - {seen[1]})
    assert result[seen[0]].frames == 7
    assert result[seen[1]].frames == 5
    assert not memory.parent.exists()


def test_a_file_that_cannot_be_read(tmp_path, make_video, run):
    make_video(tmp_path / "videos/a.mp4", [9] * 5)
    make_video(tmp_path / "videos/b.mp4", [9] * 5)
    os.symlink("/nowhere", tmp_path / "videos/c.mp4")
    rows = read_inventory(run("a,0,0.1,run,train\nb,,,,test\nc,,,,test\n", allowed=0.5))
    assert rows[2].status == "corrupt"
    assert rows[2].reason == "cannot be read: No such file or directory"


def test_another_duration_than_the_labels_say_is_told(tmp_path, make_video):
    for name in "ab":
        make_video(tmp_path / f"videos/{name}.mp4", [9] * 20)
    labels, out = tmp_path / "labels.json", tmp_path / "inventory.csv"
    stated = {"a": ("training", 3.5), "b": ("testing", 2.9)}
    text = {
        name: {"subset": subset, "duration": seconds, "actions": [[1, 0, 1]]}
        for name, (subset, seconds) in stated.items()
    }
    labels.write_text(json.dumps(text))
    recipe = {**RECIPE, "format": "multithumos", "segments": "refuse"}
    main(
        [
            *("--name", "mine", "--dataset", json.dumps(recipe), "--classes", ""),
            *("--training", str(labels), "--testing", str(labels), "--out", str(out)),
            *("--videos", str(tmp_path / "videos")),
            *("--data", '{"max_missing_fraction": 0, "exclude": []}'),
        ]
    )
    first, second = read_inventory(out)
    assert first.reason == "lasts 2.00 s, the labels say 3.50 s"
    assert (second.reason, second.status) == ("", "ok")


def test_damage_is_told(shared, tmp_path, make_video, run, caplog):
    make_video(tmp_path / "videos/b.mp4", [9] * 5)
    path = tmp_path / "videos/a.mp4"
    shutil.copyfile(shared / "data/videos/arm_wrestling.mp4", path)
    data = bytearray(path.read_bytes())
    data[300_000] ^= 0xFF
    path.write_bytes(data)
    with caplog.at_level("INFO"):
        row = read_inventory(run("a,0,0.1,run,train\nb,,,,test\n"))[0]
    assert row.status == "ok"
    assert row.reason.endswith("of 280 frames are damaged")
    assert f"a: {row.reason}" in caplog.text


# ---------------------------------------------------------------------------- the file

ROW = InventoryRow(
    "b", "x, y/b.mp4", 29.97002997, 30, 1.001, 64, 48, 90, "h264", "00ff", "ok", ""
)


def test_round_trip(tmp_path):
    lost = InventoryRow(
        "c\u00e4", "", 0, 0, 0, 0, 0, 0, "", "", "missing", 'a "reason"'
    )
    path = tmp_path / "inventory.csv"
    write_inventory(path, [ROW, lost])
    assert read_inventory(path) == [ROW, lost]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",ok,", ",fine,", r"inventory.csv:2: status is 'fine', expected ok, missing"),
        (",30,", ",many,", "inventory.csv:2: frames should be a number, found 'many'"),
        (",30,", ",,", "frames should be a number, found ''"),
        (",ok,", ",", "inventory.csv:2: expected 12 cells"),
        ("reason", "why", "is not an inventory: expected the columns video_id, path"),
    ],
)
def test_what_is_no_inventory(tmp_path, old, new, message):
    path = tmp_path / "inventory.csv"
    write_inventory(path, [ROW])
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_inventory(path)


def test_rows_must_be_sorted_and_there(tmp_path):
    path = tmp_path / "inventory.csv"
    with pytest.raises(ValueError, match=r"no inventory at .*run `inventory` first"):
        read_inventory(path)
    path.touch()
    with pytest.raises(ValueError, match="found an empty file"):
        read_inventory(path)
    for rows in ([ROW, replace(ROW, video_id="a")], [ROW, ROW]):
        write_inventory(path, rows)
        with pytest.raises(ValueError, match="not sorted by video_id, or one comes"):
            read_inventory(path)


def test_an_inventory_that_is_not_that_of_its_record(tmp_path, make_video, run):
    for name in ("good", "other"):
        make_video(tmp_path / "videos" / f"{name}.mp4", range(0, 240, 10))
    out = run("good,1,2,walk,train\nother,1,2,walk,test\n")
    good = out.read_bytes()
    out.write_bytes(good.replace(b",24,", b",25,"))
    with pytest.raises(ValueError, match=r"inventory\.csv is not the file that its"):
        read_inventory(out)
    out.write_bytes(good.replace(b"good", b"g\xffod"))
    with pytest.raises(
        ValueError, match=r"inventory\.csv is damaged .*run `inventory`"
    ):
        read_inventory(out)
    out.write_bytes(good)
    out.with_suffix(".json").write_text("[]")
    with pytest.raises(ValueError, match=r"inventory\.json is no record"):
        read_inventory(out)
