"""The stage `figures`: what is drawn, twice the same bytes, what is refused."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from ssdet.data.annotations import Segment
from ssdet.data.interpolate import Stream
from ssdet.data.sampling import Timeline
from ssdet.evaluate.protocol import EvaluatedVideo
from ssdet.report import figures
from ssdet.report.ap_figure import ap_figure
from ssdet.report.labels import plain
from ssdet.report.timeline_figure import choose_videos, timeline_figure
from tests.home import make_result

pytest.importorskip("matplotlib")

LABELS = """video_id,start_s,end_s,label,split
t,0.5,2.0,costs $5 to $9,training
t,0.5,2.0,stand,training
a,0.0,3.0,costs $5 to $9,testing
b,2.0,5.5,stand,testing
b,3.0,4.5,costs $5 to $9,testing
"""


@pytest.fixture
def home(tmp_path):
    """Arguments of a data set with one result, and of its figures."""
    arguments = make_result(tmp_path, LABELS, ("costs $5 to $9", "stand"))
    return tmp_path, [*arguments, "--videos", "2"]


def draw(folder, arguments, name):
    files = {"ap": "ap.svg", "timeline": "timeline.svg", "page": "timeline.html"}
    out = [folder / f"{name}_{file}" for file in files.values()]
    named = [
        text
        for kind, path in zip(files, out, strict=True)
        for text in (f"--out-{kind}", str(path))
    ]
    figures.main([*arguments, *named])
    return [path.read_bytes() for path in out]


def test_same_input_same_bytes(home):
    first, second = draw(*home, "first"), draw(*home, "second")
    assert first == second
    for text in first[:2]:
        assert ElementTree.fromstring(text).tag.endswith("svg")
        assert b"dc:date" not in text
    assert first[2].startswith(b"<!doctype html>")


def test_other_predictions_are_refused(home):
    folder, arguments = home
    result = json.loads((folder / "r.json").read_text())
    result["members"][0]["sha256"] = "00"
    del result["content_sha256"]
    (folder / "r.json").write_text(json.dumps(result))
    with pytest.raises(ValueError, match=r"was computed from .*p\.h5, not from"):
        draw(folder, arguments, "x")
    assert not list(folder.glob("*.svg"))


def row(name, ap, positives):
    chance = positives / 1000 if ap is not None else None
    return {"class": name, "ap": ap, "positives": positives, "chance": chance}


def test_bars_are_sorted_and_absent_classes_named():
    rows = [row("b", 0.25, 40), row("c", None, 0), row("a", 0.5, 300)]
    metrics = {"per_class": rows, "dense_map": 0.375}
    figure = ap_figure({"name": "all", "dataset": "home", "metrics": metrics})
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["b", "a"]
    assert [bar.get_width() for bar in left.patches] == [25.0, 50.0]
    assert [bar.get_width() for bar in right.patches] == [40, 300]
    assert left.collections[0].get_offsets().tolist() == [[4.0, 0.0], [30.0, 1.0]]
    title = figure.get_suptitle()
    assert title == "all on home: 2 classes (1 more are in no test frame)"


def video(name, *segments):
    found = tuple(Segment(*segment) for segment in segments)
    return EvaluatedVideo(name, found, Timeline(80, 10.0, 1))


def test_videos_with_most_actions_come_first():
    one, two = video("c", (0, 1, "a")), video("b", (0, 1, "a"), (1, 2, "a"))
    other = video("a", (0, 1, "a"))
    assert choose_videos([one, two, other], 2) == [two, other]


def test_rows_of_a_timeline():
    shown = video("v", (4.0, 6.0, "late"), (1.0, 2.0, "early"), (7.0, 8.0, "early"))
    logits = np.tile([0.0, 0.0, -1.0, -3.0, -2.0], (2, 1))
    streams = {"v": [Stream(logits, np.array([0.0, 10.0]))]}
    classes = ("late", "early", "loud", "faint", "quiet")
    result = {"name": "all", "dataset": "home"}
    (axes,) = timeline_figure(result, [shown], streams, classes).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["late", "early", "(loud)", "(quiet)"]
    assert "probability of 0.5" in axes.get_title(loc="left") + axes.get_title()
    curve = axes.lines[0].get_ydata()
    assert curve == pytest.approx(np.full_like(curve, 0.85))


def test_scores_without_any_probability_are_drawn():
    streams = {"v": [Stream(np.full((1, 1), -1e30), np.zeros(1))]}
    result = {"name": "all", "dataset": "home"}
    figure = timeline_figure(result, [video("v")], streams, ("a",))
    assert (figure.axes[0].lines[0].get_ydata() == 0).all()


def test_names_are_shown_as_they_are():
    assert plain("costs $5") == r"costs \$5"
    assert plain("x" * 100) == "x" * 47 + "…"
