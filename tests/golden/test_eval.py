"""Average precision, fusion, 25-step rules and submissions against reference values."""

import csv
import json
import re

import numpy as np
import pytest

from ssdet import metrics
from ssdet.config import DatasetConfig
from ssdet.data.annotations import Segment
from ssdet.data.frame_labels import instant_labels
from ssdet.evaluate.evaluate_file import evaluate_file
from ssdet.evaluate.instants import instant_steps
from ssdet.evaluate.submission import read_submission

TOLERANCE = 1e-9
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")


def read(path):
    return json.loads(path.read_text())


def numbers(values):
    """An array; the files write numbers that are not finite as strings."""
    return np.array([[float(value) for value in row] for row in values])


def flavours(scores, labels):
    """Every quantity of the README, by its key."""
    ap = metrics.average_precision(scores, labels)
    counts = metrics.positives(labels)
    with np.errstate(invalid="ignore"):
        weighted = (ap * counts).sum() / counts.sum() if counts.any() else np.nan
        nonzero = np.count_nonzero(np.nan_to_num(ap))
        found = {
            "n_pos": counts,
            "ap_official": ap,
            "map_official": ap.mean(),
            "wap_official": weighted,
            "map_skip_empty": metrics.mean_over_present(ap),
            "wap_skip_empty": metrics.weighted_mean_over_present(ap, counts),
            "map_empty_as_zero": np.nan_to_num(ap).mean(),
            "map_nonzero_only": np.nansum(ap) / nonzero if nonzero else np.nan,
        }
    grouped = metrics.average_precision(scores, labels, ties="grouped")
    found["ap_tie_grouped"] = grouped
    found["map_tie_grouped_skip_empty"] = metrics.mean_over_present(grouped)
    return found


def check(expected, scores, labels, where):
    found = flavours(scores, labels)
    known = {key: value for key, value in expected.items() if key in found}
    assert "ap_official" in known, where
    for key, value in known.items():
        value = np.array(value, dtype=np.float64)
        np.testing.assert_allclose(
            found[key], value, rtol=0, atol=TOLERANCE, err_msg=f"{where}: {key}"
        )


@pytest.mark.golden("ap_cases.json")
def test_average_precision(golden_file):
    for case in read(golden_file)["cases"]:
        scores, labels = numbers(case["scores"]), numbers(case["labels"])
        if np.isnan(scores).any():
            with pytest.raises(ValueError, match="scores are NaN"):
                metrics.average_precision(scores, labels)
            # what the official script does with NaN: behind everything, in row order
            order = np.argsort(-scores, axis=0, kind="stable")
            scores = -np.argsort(order, axis=0).astype(np.float64)
        check(case["expected"], scores, labels, case["name"])


@pytest.mark.golden("dense_map.json")
def test_dense_map(golden_file):
    data = read(golden_file)
    videos = [(numbers(v["logits"]), numbers(v["labels"])) for v in data["videos"]]
    longest = max(len(logits) for logits, _ in videos)

    def pad(rows):
        return np.pad(rows, [(0, longest - len(rows)), (0, 0)])

    def sigmoid(logits):
        return 1 / (1 + np.exp(-logits))

    def at(rule, chosen):
        picks = [(x, y, instant_steps(len(x), rule)) for x, y in chosen]
        return [(x[steps], y[steps]) for x, y, steps in picks]

    variants = {
        "dense_valid_frames": videos,
        "dense_with_zeroed_padding": [(pad(sigmoid(x)), pad(y)) for x, y in videos],
        "dense_with_unmasked_padding_prob_half": [(pad(x), pad(y)) for x, y in videos],
        "every_kth_from_1_videos_longer_than_25": at(
            "every_kth_from_1", [(x, y) for x, y in videos if len(x) > 25]
        ),
        "floor25_all_videos_labels_from_same_index": at("floor", videos),
    }
    for name in variants.keys() & data["expected"].keys():
        rows = zip(*variants[name], strict=True)
        scores, labels = (np.concatenate(part) for part in rows)
        check(data["expected"][name], scores, labels, name)
    each = [np.nan_to_num(metrics.average_precision(*video)).mean() for video in videos]
    expected = data["expected"]["mean_over_videos_of_per_video_map"]
    assert np.mean(each) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.golden("resample25.json")
def test_steps_of_the_instants(golden_file):
    for case in read(golden_file)["resampling"]:
        steps = case["num_feat"]
        assert instant_steps(steps).tolist() == case["floor"], steps
        assert instant_steps(steps, "nearest").tolist() == case["nearest"], steps
        if case["every_kth_from_1"] is None:
            with pytest.raises(ValueError, match="needs more than 25 steps"):
                instant_steps(steps, "every_kth_from_1")
            continue
        shortcut = instant_steps(steps, "every_kth_from_1")
        assert shortcut.tolist() == case["every_kth_from_1"], steps
        reached = (shortcut[-1] + 1) / steps
        assert reached == pytest.approx(case["covered_fraction"], abs=TOLERANCE)


@pytest.mark.golden("fusion.json")
def test_fusion(golden_file):
    data = read(golden_file)
    streams = [numbers(logits) for logits in data["logits"]]
    labels = numbers(data["labels"])
    for name, expected in data["expected"].items():
        if name == "single":
            for logits, one in zip(streams, expected, strict=True):
                check(one, logits, labels[: len(logits)], name)
            continue
        number, _, kind = re.split("_", name, maxsplit=2)
        chosen = streams[: WORDS.index(number)]
        rows = min(map(len, chosen))
        kept = np.stack([logits[:rows] for logits in chosen])
        if kind == "prob":
            kept = 1 / (1 + np.exp(-kept))
        check(expected, kept.mean(axis=0), labels[:rows], name)


@pytest.mark.golden("annotations.csv")
def test_submission(golden_file):
    folder = golden_file.parent
    expected = read(folder / "expected.json")
    with open(golden_file, newline="") as file:
        rows = list(csv.DictReader(file))
    classes = {f"c{k:03d}": k for k in range(len(expected["label_counts"]))}
    labels = [instant_labels(_segments(r), classes, float(r["length"])) for r in rows]
    table = np.concatenate([of_video.T for of_video in labels])
    assert table.sum(axis=0).tolist() == expected["label_counts"]
    assert table.sum() == expected["labels_total"]
    for name, values in expected["expected"].items():
        path = folder / f"{name}.txt"
        found = read_submission(path, [r["id"] for r in rows], len(classes))
        assert found.given.sum() == values["matched_frames"], name
        check(values, found.scores.reshape(-1, len(classes)), table, name)


@pytest.mark.golden("annotations.csv")
def test_the_command_scores_submissions(golden_file, tmp_path):
    """`ssdet evaluate` gives the official script's numbers."""
    folder = golden_file.parent
    expected = read(folder / "expected.json")
    names = [f"c{k:03d}" for k in range(len(expected["label_counts"]))]
    (tmp_path / "classes.txt").write_text("".join(f"{name} x\n" for name in names))
    (tmp_path / "training.csv").write_text("id,actions,length\nother,c000 0 1,2\n")
    section = DatasetConfig(
        format="charades",
        videos="none",
        fps=24.0,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        segments="refuse",
        expected=None,
        annotations={
            "training": str(tmp_path / "training.csv"),
            "testing": str(golden_file),
            "classes": str(tmp_path / "classes.txt"),
        },
    )
    for name, values in expected["expected"].items():
        path = folder / f"{name}.txt"
        result = evaluate_file(path, "made_up", section, None, True, 1, None)
        found = result["metrics"]
        value = values["map_skip_empty"]
        assert found["map_25"] == pytest.approx(value, abs=TOLERANCE), name
        value = values["wap_skip_empty"]
        assert found["map_25_weighted"] == pytest.approx(value, abs=TOLERANCE), name
        for row, ap in zip(found["per_class"], values["ap_official"], strict=True):
            ap_25 = np.nan if row["ap_25"] is None else row["ap_25"]
            assert ap_25 == pytest.approx(float(ap), abs=TOLERANCE, nan_ok=True), name


def _segments(row):
    fields = [action.split() for action in row["actions"].split(";") if action]
    return [Segment(float(start), float(end), name) for name, start, end in fields]
