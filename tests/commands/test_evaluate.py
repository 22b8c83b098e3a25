"""`ssdet evaluate` as one types it: predictions, submissions, segments, and errors."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from ssdet import cli, metrics
from ssdet.data.annotations import Segment
from ssdet.data.frame_labels import (
    frame_labels,
    instant_labels,
    labels_at,
    official_instants,
)
from ssdet.data.interpolate import interpolate
from ssdet.data.inventory import InventoryRow, write_inventory
from ssdet.data.predictions import write_predictions
from ssdet.evaluate.detections import Detection, write_detections
from ssdet.evaluate.submission import write_submission
from ssdet.files import sha256

ROOT = Path(__file__).parents[2]
CLASSES = ("c000", "c001", "c002")
INDEX = {name: k for k, name in enumerate(CLASSES)}
# Not in alphabetical order; an action that ends late, one reversed, one twice.
LENGTHS_S = {"w": 6.0, "b": 9.75, "m": 4.0}
ACTIONS = {
    "w": "c000 0.0 3.0;c001 2.0 7.5;c001 2.0 7.5",
    "b": "c002 1.0 4.0;c000 6.0 9.0;c001 5.0 4.0",
    "m": "",
}
FPS = 12.0


def segments_of(name):
    words = [action.split() for action in ACTIONS[name].split(";") if action]
    return [Segment(float(start), float(end), label) for label, start, end in words]


class Home:
    """A data set in the form of Charades, and the command on it."""

    def __init__(self, folder, capsys, monkeypatch):
        self.folder, self.capsys = folder, capsys
        monkeypatch.chdir(ROOT)
        rows = [f'{v},"{ACTIONS[v]}",{LENGTHS_S[v]}\n' for v in LENGTHS_S]
        (folder / "test.csv").write_text("id,actions,length\n" + "".join(rows))
        (folder / "train.csv").write_text('id,actions,length\nt,"c000 0 1",9\n')
        (folder / "classes.txt").write_text("c000 sit\nc001 stand\nc002 wave\n")
        annotations = {
            "training": str(folder / "train.csv"),
            "testing": str(folder / "test.csv"),
            "classes": str(folder / "classes.txt"),
        }
        home = {
            "format": "charades",
            "videos": "none",
            "fps": FPS,
            "mean": [0.0, 0.0, 0.0],
            "std": [1.0, 1.0, 1.0],
            "segments": "refuse",
            "annotations": annotations,
            "expected": {"training": None, "testing": 3, "classes": 3},
        }
        override = {"results": str(folder / "results"), "datasets": {"home": home}}
        (folder / "own.yaml").write_text(yaml.safe_dump(override))

    def run(self, path, *more, dataset="home"):
        given = ["evaluate", "--dataset", dataset, str(path), *more]
        given += ["--configfile", str(self.folder / "own.yaml")]
        status = cli.main([*given, "--json", str(self.folder / "out.json")])
        out, err = self.capsys.readouterr()
        if status:
            assert not (self.folder / "out.json").exists() and not out
            return err
        return out, json.loads((self.folder / "out.json").read_text())

    def logits(self, videos="wbm"):
        draws = np.random.default_rng(0)
        found = {}
        for name in videos:
            times_s = np.arange(0, LENGTHS_S[name], 0.4)
            found[name] = draws.normal(size=(len(times_s), 3)).astype("f4"), times_s
        return found

    def predictions(self, logits, **changes):
        facts = {
            "model": "one",
            "dataset": "home",
            "classes": CLASSES,
            "checkpoint_sha256": "",
            "provenance": dict,
        }
        path = self.folder / "p.h5"
        videos = [(name, *rows) for name, rows in logits.items()]
        write_predictions(path, videos, **(facts | changes))
        return path

    def submission(self, logits):
        path = self.folder / "s.txt"
        rows = [
            (name, interpolate(*logits[name], official_instants(LENGTHS_S[name])))
            for name in logits
        ]
        write_submission(path, rows)
        return path


@pytest.fixture
def home(tmp_path, capsys, monkeypatch):
    return Home(tmp_path, capsys, monkeypatch)


def scored(logits, times_of, label):
    """AP and chance of each class, with rows at the times of each video."""
    scores = [interpolate(*logits[v], times_of(v)) for v in logits]
    labels = [label(v).T for v in logits]
    scores, labels = np.concatenate(scores), np.concatenate(labels)
    return metrics.average_precision(scores, labels), labels


def at_frames(name):
    frames = round(LENGTHS_S[name] * FPS)
    return np.arange(frames) / (frames / LENGTHS_S[name])


def at_instants(name):
    return official_instants(LENGTHS_S[name])


def inclusive(name):
    return instant_labels(segments_of(name), INDEX, LENGTHS_S[name])


def test_predictions_by_every_protocol(home):
    logits = home.logits()
    path = home.predictions(logits)
    out, result = home.run(path)

    def strict(name):
        frames = len(at_frames(name))
        return frame_labels(segments_of(name), INDEX, frames, frames / LENGTHS_S[name])

    def of_rows(name):
        return labels_at(segments_of(name), INDEX, logits[name][1])

    found = result["metrics"]
    ap, labels = scored(logits, at_frames, strict)
    assert found["dense_map"] == pytest.approx(ap.mean(), abs=1e-12)
    assert found["chance"]["dense_map"] == pytest.approx(labels.mean(axis=0).mean())
    ap, labels = scored(logits, lambda name: logits[name][1], of_rows)
    assert found["step_map"] == pytest.approx(ap.mean(), abs=1e-12)
    assert found["chance"]["step_map"] == pytest.approx(labels.mean(axis=0).mean())
    ap, labels = scored(logits, at_instants, inclusive)
    assert found["map_25"] == pytest.approx(ap.mean(), abs=1e-12)
    weighted = (ap * labels.sum(axis=0)).sum() / labels.sum()
    assert found["map_25_weighted"] == pytest.approx(weighted, abs=1e-12)
    assert result["videos"]["expected"] == result["videos"]["evaluated"] == 3
    assert result["incomplete"] == [] and result["rows"]["map_25"] == 75
    assert result["provenance"]["parents"]["file"]["sha256"] == sha256(path)
    assert f"{100 * found['step_map']:9.2f}" in out
    assert "3 of 3 test videos, 3 classes" in out


def test_a_submission_scores_as_the_predictions_it_was_made_of(home):
    logits = home.logits()
    _, of_predictions = home.run(home.predictions(logits))
    _, of_submission = home.run(home.submission(logits))
    for key in ("map_25", "map_25_weighted"):
        expected = of_predictions["metrics"][key]
        assert of_submission["metrics"][key] == pytest.approx(expected, abs=1e-12)
        expected = of_predictions["metrics"]["chance"][key]
        assert of_submission["metrics"]["chance"][key] == expected


def test_ties_keep_the_order_of_the_annotation_file(home):
    """Scores are all the same, so the AP is that of the rows in the csv's order."""
    path = home.folder / "s.txt"
    write_submission(path, [(name, np.zeros((25, 3))) for name in "bmw"])
    _, result = home.run(path)
    labels = np.concatenate([inclusive(name).T for name in ("w", "b", "m")])
    expected = metrics.average_precision(np.zeros(labels.shape), labels)
    found = [row["ap_25"] for row in result["metrics"]["per_class"]]
    assert found == pytest.approx(expected.tolist(), abs=1e-12)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: [x for x in text if x[0] != "b"], r"1 of 3 .* missing \(b\)"),
        (lambda text: [*text, "x 1 0 0 0"], r"1 of its videos are no .* \(x\)"),
        (lambda text: text[1:], "1 instants of the other videos have no line"),
        (lambda text: [*text, text[3]], "1 lines are repeated later"),
        (lambda text: [*text, "w 26 0 0 0"], "1 lines have a number outside the"),
    ],
)
def test_a_submission_that_does_not_cover_the_test_set(home, change, complaint):
    path = home.submission(home.logits())
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    error = home.run(path)
    assert_match(complaint, error)
    assert "give --incomplete" in error
    out, result = home.run(path, "--incomplete")
    assert len(result["incomplete"]) == 1
    assert_match(complaint, result["incomplete"][0])
    assert f"INCOMPLETE: {result['incomplete'][0]}" in out


def assert_match(pattern, text):
    assert re.search(pattern, text), text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("w 1 0.5 0.5", "line 1: 4 fields instead of 5"),
        ("w 1 0.5 nan 0.5", "line 1: a score is NaN"),
        ("w one 0.5 0.5 0.5", "line 1: invalid literal"),
    ],
)
def test_lines_that_cannot_be_read(home, line, message):
    path = home.folder / "s.txt"
    path.write_text(line + "\n")
    for flags in ((), ("--incomplete",)):
        assert message in home.run(path, *flags)


def test_predictions_of_some_videos(home):
    logits = home.logits("wb")
    path = home.predictions(logits)
    assert_match(r"1 of 3 test videos are missing \(m\)", home.run(path))
    out, result = home.run(path, "--incomplete")
    assert result["videos"]["missing_videos"] == ["m"]
    assert "2 of 3 test videos" in out
    assert result["rows"]["dense_map"] == len(at_frames("w")) + len(at_frames("b"))
    assert result["rows"]["map_25"] == 75  # ranked last, as the official script does


def test_frames_of_the_inventory_and_its_lost_videos(home):
    rows = []
    for name, seconds in sorted(LENGTHS_S.items()):
        size, clock = (64, 48, 0, "h264", ""), (24.0, round(24 * seconds), seconds)
        status = "corrupt" if name == "m" else "ok"
        rows.append(InventoryRow(name, "", *clock, *size, status, ""))
    usual = home.folder / "results/home/inventory.csv"
    usual.parent.mkdir(parents=True)
    write_inventory(usual, rows)
    path = home.predictions(home.logits())
    assert_match(r"1 of 3 test videos are missing \(m\)", home.run(path))
    _, result = home.run(path, "--incomplete")
    assert result["provenance"]["parents"]["inventory"]["path"] == str(usual)
    assert result["rows"]["dense_map"] == len(at_frames("w")) + len(at_frames("b"))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"dataset": "away"}, "was predicted for the data set 'away'"),
        ({"classes": ("c000", "c002", "c001")}, "'c002' as class number 1"),
    ],
)
def test_predictions_of_something_else(home, facts, message):
    path = home.predictions(home.logits(), **facts)
    assert message in home.run(path, "--incomplete")


def test_predictions_with_another_number_of_classes(home):
    logits = {name: (x[:, :2], t) for name, (x, t) in home.logits().items()}
    path = home.predictions(logits, classes=CLASSES[:2])
    assert "has 2 classes, the data set has 3" in home.run(path)


def test_detected_segments(home):
    path = home.folder / "d.json"
    found = {
        "w": [Detection(0.0, 3.0, "c000", 0.9), Detection(2.0, 7.5, "c001", 0.8)],
        "b": [Detection(1.0, 3.0, "c002", 0.7)],  # tIoU 2/3
        "m": [Detection(0.0, 3.0, "c000", 0.6)],
    }
    write_detections(path, found, {"used": False, "details": ""})
    out, result = home.run(path)
    scores = result["metrics"]["segment_map"]
    assert result["rows"]["segment_map"] == 6  # also the reversed one and the twin
    # c000: 1 of 2 found; c001: 1 of 3; c002: found up to 2/3
    both = (1 / 2 + 1 / 3) / 3
    whole = both + 1 / 3
    assert scores["activitynet"]["map"] == pytest.approx([whole] * 4 + [both] * 6)
    assert scores["thumos14"]["map"] == pytest.approx([whole] * 4 + [both])
    assert scores["activitynet"]["recall"] == pytest.approx([3 / 6] * 4 + [2 / 6] * 6)
    per_class = {row["class"]: row for row in result["metrics"]["per_class"]}
    assert per_class["c002"]["thumos14"] == pytest.approx(4 / 5)
    assert "ActivityNet: mAP at each tIoU" in out and "whole videos" in out


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda found: found.pop("m"), r"1 of 3 test videos are missing \(m\)"),
        (lambda found: found.update(x=[]), r"1 of its videos are no test .* \(x\)"),
        (
            lambda found: found["m"].append(found["m"][0]),
            "1 detections repeat an earlier one",
        ),
        (
            lambda found: found["m"].append(Detection(0, 1, "z", 0.1)),
            "1 labels are no classes of the data set",
        ),
    ],
)
def test_segments_that_do_not_cover_the_test_set(home, change, complaint):
    path = home.folder / "d.json"
    found = {name: [Detection(0.0, 3.0, "c000", 0.9)] for name in "wbm"}
    change(found)
    write_detections(path, found, {"used": False, "details": ""})
    assert_match(complaint, home.run(path))
    _, result = home.run(path, "--incomplete")
    assert_match(complaint, result["incomplete"][0])


def test_classes_that_never_happen_are_named(home):
    text = (home.folder / "test.csv").read_text()
    (home.folder / "test.csv").write_text(text.replace("c002 1.0 4.0;", ""))
    out, result = home.run(home.submission(home.logits()))
    assert "1 classes never happen and are left out of the means: c002" in out
    rows = result["metrics"]["per_class"]
    assert rows[2]["ap_25"] is None
    assert result["metrics"]["map_25"] == (rows[0]["ap_25"] + rows[1]["ap_25"]) / 2


def test_labels_that_are_not_the_published_lists(home):
    text = (home.folder / "test.csv").read_text()
    (home.folder / "test.csv").write_text(text.rpartition("m,")[0])
    error = home.run(home.submission(home.logits("wb")), "--incomplete")
    assert "testing: 2, expected 3" in error


def test_what_is_not_there(home):
    assert "no file nothing.h5" in home.run("nothing.h5")
    error = home.run("nothing.h5", dataset="away")
    assert "--dataset away is not one of datasets" in error and "home" in error
