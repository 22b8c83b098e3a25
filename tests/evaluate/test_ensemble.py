"""The stage `ensemble`: the mean, the refusals, the result."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ssdet import metrics
from ssdet.data.annotations import Segment
from ssdet.data.frame_labels import frame_labels, instant_labels, official_instants
from ssdet.data.interpolate import interpolate
from ssdet.data.inventory import InventoryRow, write_inventory
from ssdet.data.predictions import write_predictions
from ssdet.evaluate import challenge, ensemble
from ssdet.evaluate.submission import read_submission
from ssdet.files import sha256
from ssdet.stage import StageError
from tests.home import RECIPE

CLASSES = ("sit", "stand", "wave")
ROWS = """video_id,start_s,end_s,label,split
t1,0.5,2.0,sit,training
t1,0.5,2.0,stand,training
t1,0.5,2.0,wave,training
a,0.0,3.0,sit,testing
a,2.0,5.5,stand,testing
b,1.0,4.0,wave,testing
b,6.0,9.0,sit,testing
c,,,,testing
"""
FRAMES = {"a": 72, "b": 117, "c": 40, "t1": 24}
FPS = 12.0
STRIDE = 5


class Home:
    """A small data set on disk, and members that predict it."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "labels.csv").write_text(ROWS)
        self.write_inventory({})
        self.arguments = [
            *("--name", "home", "--dataset", json.dumps(RECIPE)),
            *("--training", str(folder / "labels.csv")),
            *("--testing", str(folder / "labels.csv"), "--seed", "3"),
            *("--inventory", str(folder / "inventory.csv")),
            *("--sections", '{"predict":{"alignment":"corners"}}'),
            *("--out", str(folder / "result.json"), "--result-name", "both"),
        ]

    def write_inventory(self, status):
        rows = []
        for name, frames in FRAMES.items():
            state = status.get(name, "ok")
            size = (64, 48, 0, "h264", "") if state == "ok" else (0, 0, 0, "", "")
            count = frames if state == "ok" else 0
            fps = FPS if state == "ok" else 0.0
            clock = (fps, count, count / FPS)
            rows.append(InventoryRow(name, "", *clock, *size, state, "as told"))
        write_inventory(self.folder / "inventory.csv", rows)

    def logits(self, seed, two_stream=False, videos="abc"):
        draws = np.random.default_rng(seed)
        found = {}
        for name in videos:
            samples = -(-FRAMES[name] // STRIDE)
            last_s = (samples - 1) * STRIDE / FPS
            rows = 4 * -(-samples // 4) if two_stream else samples
            times_s = np.linspace(0, last_s, rows)
            found[name] = draws.normal(size=(rows, 3)).astype(np.float32), times_s
        return found

    def member(self, model, logits, **changes):
        path = self.folder / f"{model}.h5"
        facts = {
            "model": model,
            "dataset": "home",
            "classes": CLASSES,
            "checkpoint_sha256": "cd" * 32,
            "provenance": lambda: {"stage": "predict"},
        }
        videos = [(name, *rows) for name, rows in logits.items()]
        write_predictions(path, videos, **(facts | changes))
        return path

    def run(self, *members, more=()):
        ensemble.main([*self.arguments, *more, "--members", *map(str, members)])
        return json.loads((self.folder / "result.json").read_text())


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def segments_of(name):
    rows = [row.split(",") for row in ROWS.splitlines()[1:]]
    return [
        Segment(float(r[1]), float(r[2]), r[3]) for r in rows if r[0] == name and r[1]
    ]


def expected_scores(members, videos="abc"):
    """Mean at the frames, the long way round: interpolate, then average."""
    index = {name: k for k, name in enumerate(CLASSES)}
    scores, labels, official, instants = [], [], [], []
    for name in videos:
        times_s = np.arange(FRAMES[name]) / FPS
        at_s = official_instants(FRAMES[name] / FPS)
        both = [[interpolate(*m[name], t) for m in members] for t in (times_s, at_s)]
        scores.append(np.mean(both[0], axis=0))
        official.append(np.mean(both[1], axis=0))
        shown = segments_of(name)
        labels.append(frame_labels(shown, index, FRAMES[name], FPS).T)
        instants.append(instant_labels(shown, index, FRAMES[name] / FPS).T)
    return [np.concatenate(part) for part in (scores, labels, official, instants)]


def test_result_of_two_members(home):
    first, second = home.logits(1), home.logits(2)
    result = home.run(home.member("one", first), home.member("two", second))
    scores, labels, official, instants = expected_scores([first, second])
    ap = metrics.average_precision(scores, labels)
    ap_25 = metrics.average_precision(official, instants)
    counts, counts_25 = metrics.positives(labels), metrics.positives(instants)
    found = result["metrics"]
    assert found["dense_map"] == pytest.approx(ap.mean(), abs=1e-12)
    assert found["map_25"] == pytest.approx(ap_25.mean(), abs=1e-12)
    weighted = (ap_25 * counts_25).sum() / counts_25.sum()
    assert found["map_25_weighted"] == pytest.approx(weighted, abs=1e-12)
    chance = (counts / len(labels)).mean()
    assert found["chance"]["dense_map"] == pytest.approx(chance, abs=1e-12)
    chances = [
        {n: (1 / (1 + np.exp(-x)), t) for n, (x, t) in m.items()}
        for m in (first, second)
    ]
    scores, labels, official, instants = expected_scores(chances)
    of_chances = metrics.average_precision(scores, labels).mean()
    assert found["probability_mean"]["dense_map"] == pytest.approx(
        of_chances, abs=1e-12
    )
    ap_25 = metrics.average_precision(official, instants)
    assert found["probability_mean"]["map_25"] == pytest.approx(ap_25.mean(), abs=1e-12)
    assert found["probability_mean"]["dense_map"] != found["dense_map"]
    ap_25 = metrics.average_precision(*expected_scores([first, second])[2:])
    for k, row in enumerate(found["per_class"]):
        assert row["class"] == CLASSES[k]
        assert row["positives"] == counts[k] and row["positives_25"] == counts_25[k]
        assert row["ap"] == pytest.approx(ap[k], abs=1e-12)
        assert row["ap_25"] == pytest.approx(ap_25[k], abs=1e-12)
    for member, logits in zip(result["members"], (first, second), strict=True):
        scores, labels, _, _ = expected_scores([logits])
        own = metrics.average_precision(scores, labels).mean()
        assert member["dense_map"] == pytest.approx(own, abs=1e-12)
        assert member["sha256"] == sha256(member["path"])
        assert member["checkpoint_sha256"] == "cd" * 32


def test_what_a_result_says(home):
    result = home.run(home.member("one", home.logits(1)))
    assert list(result) == [
        *("dataset", "name", "metrics", "videos", "members", "irregularities", "seed"),
        *("provenance", "content_sha256"),
    ]
    assert (result["dataset"], result["name"], result["seed"]) == ("home", "both", 3)
    assert result["metrics"]["probability_mean"] is None  # of one model, the same
    assert result["videos"] == {
        "expected": 3,
        "evaluated": 3,
        "missing": 0,
        "missing_videos": [],
    }
    provenance = result["provenance"]
    assert provenance["stage"] == "ensemble" and provenance["revision"] >= 1
    assert provenance["config"]["predict"] == {"alignment": "corners"}
    assert provenance["config"]["dataset"]["format"] == "table"
    assert sorted(provenance["parents"]) == [
        "inventory",
        "labels/testing",
        "labels/training",
        "predictions/one",
    ]
    for parent in provenance["parents"].values():
        assert parent["sha256"] == sha256(parent["path"])


def test_one_member_is_its_own_ensemble(home):
    result = home.run(home.member("one", home.logits(1)))
    assert result["members"][0]["dense_map"] == result["metrics"]["dense_map"]


def test_order_of_the_members_changes_nothing(home):
    paths = [home.member(f"m{seed}", home.logits(seed)) for seed in range(3)]
    paths.append(home.member("two", home.logits(9, two_stream=True)))
    forwards = home.run(*paths)["metrics"]
    assert home.run(*paths[::-1])["metrics"] == forwards


def test_members_of_two_rates_are_averaged_at_the_frames(home):
    members = [home.logits(1), home.logits(2), home.logits(3, two_stream=True)]
    paths = [home.member(f"m{n}", logits) for n, logits in enumerate(members)]
    result = home.run(*paths)
    scores, labels, official, instants = expected_scores(members)
    ap = metrics.average_precision(scores, labels).mean()
    assert result["metrics"]["dense_map"] == pytest.approx(ap, abs=1e-9)
    ap = metrics.average_precision(official, instants).mean()
    assert result["metrics"]["map_25"] == pytest.approx(ap, abs=1e-9)


def test_a_perfect_detector(home):
    index = {name: k for k, name in enumerate(CLASSES)}
    perfect = {}
    for name in "abc":
        frames = FRAMES[name]
        labels = frame_labels(segments_of(name), index, frames, FPS).T
        perfect[name] = labels * 8.0 - 4.0, np.arange(frames) / FPS
    assert home.run(home.member("one", perfect))["metrics"]["dense_map"] == 1.0


def test_challenge_file_holds_the_mean_logits(home):
    """It scores what the result says, by `ssdet evaluate`'s own reading of it."""
    first, second = home.logits(1), home.logits(2)
    path = home.folder / "submission.txt"
    members = home.member("one", first), home.member("two", second)
    metrics_25 = home.run(*members)["metrics"]["map_25"]
    kept = ("--name", "--dataset", "--training", "--testing", "--inventory")
    pairs = zip(home.arguments[::2], home.arguments[1::2], strict=True)
    given = [word for pair in pairs if pair[0] in kept for word in pair]
    members = [str(member) for member in members]
    challenge.main([*given, "--members", *members, "--out", str(path)])
    submission = read_submission(path, ["a", "b", "c"], 3)
    assert submission.given.all()
    found = submission.scores.reshape(-1, 3)
    _, _, expected, labels = expected_scores([first, second])
    np.testing.assert_allclose(found, expected, atol=1e-12)
    ap = metrics.average_precision(found, labels)
    assert ap.mean() == pytest.approx(metrics_25, abs=1e-12)


def test_lost_videos_are_counted_and_listed(home):
    home.write_inventory({"c": "corrupt", "t1": "missing"})
    logits = home.logits(1, videos="ab")
    result = home.run(home.member("one", logits))
    lost = {"video_id": "c", "status": "corrupt", "reason": "as told"}
    assert result["videos"] == {
        "expected": 3,
        "evaluated": 2,
        "missing": 1,
        "missing_videos": [lost],
    }
    scores, labels, _, _ = expected_scores([logits], "ab")
    ap = metrics.average_precision(scores, labels).mean()
    assert result["metrics"]["dense_map"] == pytest.approx(ap, abs=1e-12)


def shifted(logits):
    return {name: (rows, times_s + 0.1) for name, (rows, times_s) in logits.items()}


def cut(logits):
    return {name: (rows[:-2], t[:-2]) for name, (rows, t) in logits.items()}


@pytest.mark.parametrize(
    ("model", "change", "facts", "message"),
    [
        (
            "two",
            shifted,
            {},
            r"two\.h5 does not fit .*one\.h5: row 0 of video a stands",
        ),
        ("two", cut, {}, r"video a has 13 rows, there it has 15"),
        ("one", None, {}, r"one would count twice"),
        (
            "two",
            None,
            {"dataset": "away"},
            r"two\.h5 was predicted .* 'away', .*'home'",
        ),
        (
            "two",
            None,
            {"classes": ("sit", "walk", "wave")},
            r"two\.h5 has 'walk' as class number 1, the data set has 'stand'",
        ),
    ],
)
def test_members_that_do_not_fit_are_refused(home, model, change, facts, message):
    paths = [home.member("one", home.logits(1))]
    logits = home.logits(2)
    paths.append(home.member(model, change(logits) if change else logits, **facts))
    with pytest.raises(StageError, match=message):
        home.run(*paths)
    assert not (home.folder / "result.json").exists()


def test_other_numbers_of_classes_are_refused(home):
    logits = {name: (x[:, :2], t) for name, (x, t) in home.logits(1).items()}
    path = home.member("one", logits, classes=("sit", "stand"))
    with pytest.raises(StageError, match="has 2 classes, the data set has 3"):
        home.run(path)


def test_a_video_without_predictions_is_an_error(home):
    path = home.member("one", home.logits(1, videos="ac"))
    with pytest.raises(
        StageError, match=r"lacks 1 of 3 test videos .*: b\. Run predict"
    ):
        home.run(path)


def test_predictions_of_other_videos_are_an_error(home):
    home.write_inventory({"c": "excluded"})
    path = home.member("one", home.logits(1))
    with pytest.raises(StageError, match=r"has 1 videos that are no usable .*: c\."):
        home.run(path)


def slow(logits):
    """As a detector that sees every 4th frame gives them; see FRAMES."""
    counts = {"a": 4, "b": 6, "c": 2}
    return {
        name: (x[: counts[name]], np.arange(counts[name]) * 4 * STRIDE / FPS)
        for name, (x, _) in logits.items()
    }


def test_members_that_see_every_fourth_frame_are_averaged_with_the_others(home):
    members = [home.logits(1), slow(home.logits(2)), home.logits(3, two_stream=True)]
    paths = [home.member(f"m{n}", logits) for n, logits in enumerate(members)]
    scores, labels, _, _ = expected_scores(members)
    ap = metrics.average_precision(scores, labels).mean()
    assert home.run(*paths)["metrics"]["dense_map"] == pytest.approx(ap, abs=1e-9)
    alone = home.run(paths[1])["metrics"]["dense_map"]
    scores, labels, _, _ = expected_scores(members[1:2])
    ap = metrics.average_precision(scores, labels).mean()
    assert alone == pytest.approx(ap, abs=1e-9)


def fewer(logits, rows):
    """As a head on published features gives them, of which some videos have fewer."""
    kept = {name: len(x) - rows.get(name, 0) for name, (x, _) in logits.items()}
    return {
        name: (x[: kept[name]], np.arange(kept[name]) * FRAMES[name] / FPS / kept[name])
        for name, (x, _) in logits.items()
    }


def test_features_that_differ_by_a_row_are_averaged_at_the_frames(home):
    """RGB and flow: each video's rows are spread over all of it."""
    members = [fewer(home.logits(1), {}), fewer(home.logits(2), {"a": 1, "b": 2})]
    paths = [home.member(f"m{n}", logits) for n, logits in enumerate(members)]
    scores, labels, _, _ = expected_scores(members)
    ap = metrics.average_precision(scores, labels).mean()
    assert home.run(*paths)["metrics"]["dense_map"] == pytest.approx(ap, abs=1e-9)


def test_features_that_differ_by_more_rows_are_refused(home):
    members = [fewer(home.logits(1), {}), fewer(home.logits(2), {"a": 3})]
    paths = [home.member(f"m{n}", logits) for n, logits in enumerate(members)]
    with pytest.raises(StageError, match="video a has 12 rows, there it has 15"):
        home.run(*paths)


@pytest.mark.parametrize("third", ["single", "two_stream"])
def test_a_kind_at_two_rates_is_refused(home, third):
    two_stream, single = home.logits(2, two_stream=True), home.logits(1)
    paths = [home.member("one", single), home.member("two", two_stream)]
    other = single if third == "single" else two_stream
    paths.append(home.member("three", shifted(other)))
    with pytest.raises(StageError, match="does not fit"):
        home.run(*paths)


def test_as_a_program(home):
    """An error is one message and exit code 1; a result goes to the log."""
    path = home.member("one", home.logits(1))
    command = [sys.executable, "-m", "ssdet.evaluate.ensemble", *home.arguments]
    done = subprocess.run(
        [*command, "--members", str(path)], capture_output=True, text=True, check=True
    )
    assert "both on home, in percent" in done.stderr and done.stdout == ""
    failed = subprocess.run(
        [*command, "--members", "none.h5"], capture_output=True, text=True
    )
    assert failed.returncode == 1
    assert "error: no file none.h5; run predict again" in failed.stderr
    assert "Traceback" not in failed.stderr
