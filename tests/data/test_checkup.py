"""`ssdet doctor data` on a folder with one of everything, before and after a run."""

import io
import json

import numpy as np
import pytest
import yaml
from PIL import Image

from ssdet import cli
from ssdet.data import inventory
from tests.tiny import ROOT

pytest.importorskip("av")

ROWS = """video_id,start_s,end_s,label,split
deep,0.5,1.0,sit,training
empty,0,1,run,training
gone,0,1,run,training
gone_too,0,1,run,testing
good,0,9,sit,testing
half,,,,testing
left_out,0,1,run,training
pictures,0,1,run,testing
short,2,1,run,training
slow,0,1,run,training
"""


def put_frames(folder, count):
    folder.mkdir(parents=True)
    data = io.BytesIO()
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(data, "JPEG")
    for n in range(1, count + 1):
        (folder / f"{folder.name}-{n:06d}.jpg").write_bytes(data.getvalue())


@pytest.fixture
def work(tmp_path, make_video, monkeypatch):
    """A working folder: config, labels, and videos of which some are bad."""
    videos = tmp_path / "videos"
    for name in ("deep/er/deep", "good", "left_out"):
        make_video(videos / f"{name}.mp4", [9] * 60, rate=20)
    make_video(videos / "short.mp4", [9] * 20, rate=20)
    make_video(videos / "slow.mp4", [9] * 15, rate=5)
    (videos / "empty.mp4").touch()
    noise = np.random.default_rng(0).integers(0, 256, (5, 48, 64, 3), np.uint8)
    half = make_video(videos / "half.mp4", noise)
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    put_frames(videos / "pictures", 60)
    (tmp_path / "labels.csv").write_text(ROWS)
    (tmp_path / "config").mkdir()
    recipe = (ROOT / "config" / "config.yaml").read_text()
    (tmp_path / "config" / "config.yaml").write_text(recipe)
    mine = {
        "format": "table",
        "videos": "videos",
        "annotations": {
            "training": "labels.csv",
            "testing": "labels.csv",
            "classes": None,
        },
        "fps": 20,
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
        "segments": "repair",
        "expected": None,
    }
    override = {
        "datasets": {"mine": mine},
        "data": {"exclude": ["left_out", "of another set"]},
        "fine": {"frames": 8},
        "sampling": {"stride": 5},  # a clip of 40 frames, 2 s
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(override))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def doctor(*more, dataset="mine"):
    arguments = ["doctor", "data", "--dataset", dataset, "--configfile", "mine.yaml"]
    return cli.main([*arguments, "--workers", "0", *more])


def change(**sections):
    with open("more.yaml", "w") as file:
        yaml.safe_dump(sections, file)
    return ("--configfile", "more.yaml")


def make_inventory(folder):
    inventory.main(
        [
            *("--name", "mine", "--classes", "", "--workers", "0"),
            *("--dataset", '{"format": "table", "segments": "repair"}'),
            *("--training", "labels.csv", "--testing", "labels.csv"),
            *("--videos", "videos", "--folder-fps", "20"),
            *("--data", '{"max_missing_fraction": 0.9, "exclude": ["left_out"]}'),
            *("--out", str(folder / "results/mine/inventory.csv")),
        ]
    )


@pytest.mark.parametrize("source", ["headers", "inventory"])
def test_everything_is_found(work, capsys, source):
    if source == "inventory":
        make_inventory(work)
    assert doctor("--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["source"] == source
    assert found["labels"] == {"training": 6, "testing": 4, "classes": 2}
    irregular = {"reversed": 1, "without_actions": 2}
    if source == "inventory":  # how long the videos are is known: 3 s, and 0.1 s
        irregular |= {"past_end": 1}
    assert found["irregularities"] == irregular
    assert (found["expected"], found["found"]) == (9, 7)
    assert found["missing"] == ["gone", "gone_too"]
    assert found["excluded"] == ["left_out"]
    assert found["corrupt"].keys() == {"empty", "half"}
    assert found["corrupt"]["empty"] == "the file is empty"
    assert found["corrupt"]["half"].startswith("not a video: ")
    assert found["clip_frames"] == 40
    assert found["short"] == {"short": 20}
    assert found["odd_rates"] == {"slow": 5.0}
    assert found["rates"] == {"20": 4, "5": 1}
    assert len(found["problems"]) == 1
    assert "missing or corrupt: 4 of 10 videos" in found["problems"][0]


def test_what_one_reads(work, capsys):
    assert doctor() == 1
    said = capsys.readouterr().out
    for line in (
        "mine: labels",
        "  listed      6 training, 4 testing, 2 classes",
        "  irregular   1 reversed, 2 without actions",
        "  expected    9",
        "  found       7",
        "  missing     2: gone, gone_too",
        "  short       1: short (20) [below 40 frames, one clip]",
        "  odd rates   1: slow (5)",
        "  frames/s    20 (4), 5 (1)",
        "  excluded    1: left_out",
        "To be mended:",
    ):
        assert f"\n{line}\n" in f"\n{said}"
    assert "empty: the file is empty" in said
    assert "snakemake results/mine/inventory.csv decodes all" in said


def test_nothing_to_mend(work, capsys):
    allowed = change(data={"max_missing_fraction": {"mine": 0.4}})
    assert doctor(*allowed) == 0
    assert "Nothing to be mended." in capsys.readouterr().out
    less = change(data={"max_missing_fraction": {"kinetics400": 0.4}})
    assert doctor(*less) == 1


def test_json_goes_into_a_file_beside_the_text(work, capsys):
    doctor("--json", "found.json")
    assert "mine: labels" in capsys.readouterr().out
    assert json.loads((work / "found.json").read_text())["found"] == 7


def test_frames_of_clips_that_one_pretrains_on(work, capsys):
    """The classification set is cut into the clips of `pretrain`."""
    more = change(classification="mine", pretrain={"frames": 4, "stride": 4})
    doctor("--json", "-", *more)
    found = json.loads(capsys.readouterr().out)
    assert (found["clip_frames"], found["short"]) == (16, {})


def test_bad_labels_are_told_and_nothing_else(work, capsys):
    with open("labels.csv", "a") as file:
        file.write("bad,0,x,run,training\n")
    assert doctor() == 1
    said = capsys.readouterr().out
    assert "labels.csv:12 (bad): end_s: expected a number" in said
    assert "videos (" not in said


def test_other_counts_than_expected_are_told_with_the_rest(work, capsys):
    expected = {"training": 7, "testing": 4, "classes": None}
    doctor(*change(datasets={"mine": {"expected": expected}}))
    said = capsys.readouterr().out
    assert "training: 6, expected 7" in said
    assert "  missing     2: gone, gone_too\n" in said


def test_absent_paths_are_told_together(work, capsys):
    assert doctor(dataset="charades") == 1
    said = capsys.readouterr().out
    for key in ("annotations.training", "annotations.testing", "annotations.classes"):
        assert f"- datasets.charades.{key}: no file data/charades/" in said
    assert "- datasets.charades.videos: no folder data/charades/videos" in said


def test_labels_alone_are_looked_at_without_videos(work, capsys):
    assert doctor(*change(datasets={"mine": {"videos": "nowhere"}})) == 1
    said = capsys.readouterr().out
    assert "- datasets.mine.videos: no folder nowhere" in said
    assert "listed      6 training" in said
    assert "- no video of split testing can be used" in said


def test_published_charades_before_its_videos_are_there(work, shared, capsys):
    folder = shared / "data" / "annotations" / "charades"
    names = ("Charades_v1_train.csv.gz", "Charades_v1_test.csv.gz")
    names += ("Charades_v1_classes.txt",)
    if not all((folder / name).is_file() for name in names):
        pytest.skip(f"needs {', '.join(names)} in {folder}; may not be passed on")
    kinds = ("training", "testing", "classes")
    files = {kind: str(folder / n) for kind, n in zip(kinds, names, strict=True)}
    (work / "empty").mkdir()
    charades = {"annotations": files, "videos": "empty"}
    assert doctor(*change(datasets={"charades": charades}), dataset="charades") == 1
    said = capsys.readouterr().out
    assert "  listed      7,985 training, 1,863 testing, 157 classes\n" in said
    assert "irregular   7 reversed, 19,618 past end, 223 without actions\n" in said
    assert "  missing     9,848: 001YG, " in said
    assert "expected 7,985" not in said


def test_two_files_of_one_video(work, make_video, capsys):
    make_video(work / "videos/more/good.mp4", [9] * 5)
    assert doctor() == 1
    assert "1 videos of mine have several files" in capsys.readouterr().out


def test_an_inventory_of_other_labels(work, capsys):
    make_inventory(work)
    with open("labels.csv", "a") as file:
        file.write("new,0,1,run,training\n")
    assert doctor() == 1
    assert "it lacks new and 0 other videos; make it again" in capsys.readouterr().out


def test_unknown_sets_and_configs(work, capsys):
    assert doctor(dataset="minx") == 1
    assert "--dataset minx is not one of datasets" in capsys.readouterr().err
    assert doctor("--configfile", "nowhere.yaml") == 1
    assert "no file nowhere.yaml" in capsys.readouterr().err


def test_the_doctor_without_a_set_looks_at_the_machine(work, capsys):
    assert cli.main(["doctor"]) == 0
    assert "torch" in capsys.readouterr().out
