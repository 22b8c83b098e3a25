"""The stage `curves`: which trainings, what of their numbers, what is drawn."""

import json

import numpy as np
import pytest

from ssdet.report import curves
from ssdet.report.curves import POINTS, distinct_names, read_training, read_trainings
from ssdet.report.curves_figure import curves_figure, running_mean
from ssdet.report.lineage import Made

pytest.importorskip("matplotlib")


def log(path, losses, scores):
    """A training's file of numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        {"step": n, "loss": loss, "rate": 0.1 / n, "waited_s": 0.0, "norm": 2.0}
        for n, loss in enumerate(losses, 1)
    ]
    lines += [{"step": len(losses), **scores}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def made(path, stage):
    return Made(str(path), {}, (), {"stage": stage, "parents": {}}, True)


def test_numbers_of_a_training(tmp_path):
    path = log(tmp_path / "a.jsonl", [4.0, 2.0], {"val_map": 0.5, "val_loss": 3.0})
    training = read_training("train_head", "cls", path)
    assert [list(part) for part in training.loss] == [[1, 2], [4.0, 2.0]]
    assert [list(part) for part in training.rate] == [[1, 2], [0.1, 0.05]]
    scores = {k: [list(part) for part in v] for k, v in training.validation.items()}
    assert scores == {"val_map": [[2], [0.5]], "val_loss": [[2], [3.0]]}


def test_long_trainings_are_drawn_by_means(tmp_path):
    path = log(tmp_path / "a.jsonl", np.arange(3 * POINTS, dtype=float), {})
    steps, losses = read_training("pretrain", "cls", path).loss
    assert len(steps) == POINTS
    assert list(steps[:2]) == [3, 6] and list(losses[:2]) == [1.0, 4.0]


def test_a_bad_line_is_named(tmp_path):
    path = log(tmp_path / "a.jsonl", [1.0], {})
    path.write_text(path.read_text() + '{"loss": 1}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 3 has no numbers of a step"):
        read_training("pretrain", "cls", path)


def test_trainings_come_stage_by_stage_without_those_that_are_gone(tmp_path):
    files = []
    for name, stage in {
        "charades/fine/cls": "fine",
        "seed_1/charades/fine/cls": "fine",
        "pretrain/cls": "pretrain",
        "pretrain/gone": "pretrain",
        "pretrain/empty": "pretrain",
    }.items():
        files.append(made(tmp_path / name / "checkpoint.pt", stage))
        if "gone" not in name:
            losses = [] if "empty" in name else [1.0]
            log(tmp_path / name / "checkpoint.jsonl", losses, {})
    files.append(Made(str(tmp_path / "train.csv"), {}, (), None, True))
    found = [(training.rule, training.name) for training in read_trainings(files)]
    assert found == [
        ("pretrain", "cls"),
        ("train_fine", "charades/fine/cls"),
        ("train_fine", "seed_1/charades/fine/cls"),
    ]


def test_names_tell_the_trainings_of_a_stage_apart():
    one = "results/charades/fine/cls/checkpoint.pt"
    assert distinct_names([one]) == {one: "cls"}
    other = "results/charades/fine/joint/checkpoint.pt"
    assert distinct_names([one, other]) == {one: "cls", other: "joint"}


def test_a_running_mean_has_no_future():
    assert list(running_mean(np.array([1.0, 3.0, 5.0, 7.0]), 2)) == [1, 2, 4, 6]


def test_what_is_drawn(tmp_path):
    paths = {n: log(tmp_path / n, [4.0, 2.0], {"val_map": 0.5}) for n in "abc"}
    rules = {"a": "pretrain", "b": "pretrain", "c": "train_fine"}
    trainings = [read_training(rules[n], n, path) for n, path in paths.items()]
    figure = curves_figure("home", trainings)
    panels = np.array(figure.axes).reshape(2, 4)
    titles = [axes.get_title(loc="left") or axes.get_title() for axes in panels[0, :3]]
    assert titles == ["pretrain: loss", "learning rate", "val_map"]
    legends = [row[3].get_legend().get_texts() for row in panels]
    assert [[text.get_text() for text in texts] for texts in legends] == [
        ["a", "b"],
        ["c"],
    ]
    assert [list(line.get_ydata()) for line in panels[1, 0].lines] == [[4, 2], [4, 2]]


def test_without_any_training(tmp_path):
    provenance = {"stage": "ensemble", "parents": {}}
    metrics = {"dense_map": 0.5, "map_25": 0.5, "map_25_weighted": 0.5}
    result = {
        "dataset": "home",
        "name": "x",
        "metrics": {**metrics, "chance": {"dense_map": 0.1}},
        "videos": {"evaluated": 1, "expected": 1},
        "members": [],
        "provenance": provenance,
    }
    (tmp_path / "r.json").write_text(json.dumps(result))
    arguments = [
        "--results",
        str(tmp_path / "r.json"),
        "--out",
        str(tmp_path / "c.svg"),
    ]
    with pytest.raises(ValueError, match="none of the results of home depends on"):
        curves.main(arguments)
