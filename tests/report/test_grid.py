"""The stage `grid`: what is drawn, twice the same bytes, what is refused."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from ssdet.data.annotations import Segment
from ssdet.data.grids import Sampling
from ssdet.data.predictions import write_predictions
from ssdet.data.sampling import Timeline
from ssdet.evaluate.protocol import EvaluatedVideo
from ssdet.report import grid
from ssdet.report.grid_figure import grid_figure
from tests.home import RECIPE, make_home

pytest.importorskip("matplotlib")

LABELS = """video_id,start_s,end_s,label,split
t,0.5,2.0,sit,training
t,0.5,2.0,stand $5,training
a,0.0,3.0,sit,testing
a,1.0,2.5,stand $5,testing
b,,,,testing
"""
KEPT = Sampling(np.array([0.0, 3.0, 4.0]), np.array([0.25, 0.75], np.float32))


@pytest.fixture
def home(tmp_path):
    make_home(tmp_path, LABELS)
    return tmp_path


def draw(folder, out, videos="2", kept=KEPT):
    grids = () if kept is None else (kept,)
    write_predictions(
        folder / "p.h5",
        [(v, np.zeros((8, 2)), np.arange(8) * 0.5, *grids) for v in "ab"],
        model="pair",
        dataset="home",
        classes=("sit", "stand $5"),
        checkpoint_sha256="",
        provenance=dict,
    )
    given = ["--name", "home", "--dataset", json.dumps(RECIPE), "--videos", videos]
    for name in ("training", "testing"):
        given += [f"--{name}", str(folder / "labels.csv")]
    files = {"inventory": "inventory.csv", "predictions": "p.h5", "out": out}
    for name, path in files.items():
        given += [f"--{name}", str(folder / path)]
    grid.main(given)
    return (folder / out).read_bytes()


def test_same_input_same_bytes(home):
    first = draw(home, "1.svg")
    assert first == draw(home, "2.svg")
    assert ElementTree.fromstring(first).tag.endswith("svg")
    assert draw(home, "3.svg", videos="1") != first  # without the empty video


def test_predictions_without_grids_are_refused(home):
    with pytest.raises(ValueError, match=r"p\.h5 does not say which frames of a were"):
        draw(home, "x.svg", kept=None)
    assert not (home / "x.svg").exists()


def test_parts_of_the_video_become_steps():
    """Two even parts of 2 s; the second, more confident, becomes a step of 1 s."""
    shown = EvaluatedVideo(
        "v",
        (Segment(1.0, 2.5, "late"), Segment(0.0, 1.0, "early"), Segment(3, 4, "late")),
        Timeline(40, 5.0, 1),
    )
    (axes,) = grid_figure("title", [shown], {"v": KEPT}).axes
    ticks = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    places = {label.get_text(): place for place, label in ticks}
    assert places.keys() == {"kept", "even", "0", "confidence  0.5", "1"} | {
        "late",
        "early",
    }
    assert "v: 3 frames kept" in axes.get_title(loc="left") + axes.get_title()
    assert axes.get_xlim() == (0, 5)

    *bars, steps = [c for c in axes.collections if "Poly" in type(c).__name__]
    assert len(bars) == 2  # a row for each class
    corners = [path.vertices[:4, 0].tolist() for path in steps.get_paths()]
    assert corners == [[0, 0, 3, 2], [2, 3, 4, 4]]
    light, dark = (sum(colour[:3]) for colour in steps.get_facecolors())
    assert dark < light

    (curve,) = [p for p in axes.patches if type(p).__name__ == "StepPatch"]
    heights, edges, ground = curve.get_data()
    assert edges.tolist() == [0, 2, 4]
    assert ground == places["0"]
    shares = (heights - ground) / (places["1"] - places["0"])
    assert shares.tolist() == pytest.approx([0.25, 0.75])
