"""The drawing of stages: what feeds what, and where it stands."""

import re
from itertools import combinations
from xml.etree import ElementTree

from ssdet.report.stage_graph import BOX, FEEDS, drawn_edges, stage_graph

DEMO = ["synthetic", "inventory", "extract_frames", "pretrain", "train_fine"]
DEMO += ["extract_features", "train_coarse_fine", "predict", "ensemble"]


def boxes(svg):
    """Place of each stage's box."""
    found = {}
    for group in ElementTree.fromstring(svg).iter("g"):
        box = group.find("rect")
        found[group.get("data-stage")] = (float(box.get("x")), float(box.get("y")))
    return found


def test_data_are_drawn_only_where_nothing_else_leads_there():
    edges = drawn_edges(DEMO)
    assert ("synthetic", "inventory") in edges
    assert ("extract_frames", "pretrain") in edges
    assert ("extract_frames", "train_fine") not in edges
    assert ("inventory", "ensemble") not in edges
    feeding = {source for source, target in edges if target == "train_coarse_fine"}
    assert feeding == {"pretrain", "extract_features"}
    feeding = {source for source, target in edges if target == "predict"}
    assert feeding == {"train_fine", "extract_features", "train_coarse_fine"}


def test_a_stage_that_did_not_run_is_left_out():
    assert drawn_edges(["inventory", "pretrain"]) == [("inventory", "pretrain")]
    assert list(boxes(stage_graph(["pretrain"], {}))) == ["pretrain"]


def test_stages_stand_below_what_feeds_them_and_beside_each_other():
    for present in (DEMO, FEEDS):
        places = boxes(stage_graph(present, {}))
        assert set(places) == set(present)
        for source, target in drawn_edges(present):
            assert places[source][1] + BOX[1] < places[target][1]
        for one, other in combinations(places.values(), 2):
            apart = [abs(a - b) for a, b in zip(one, other, strict=True)]
            assert apart[0] > BOX[0] or apart[1] > BOX[1]


def test_the_drawing_holds_all_of_it():
    svg = stage_graph(FEEDS, {})
    width, height = map(float, re.search(r'width="(\d+)" height="(\d+)"', svg).groups())
    for x, y in boxes(svg).values():
        assert 0 <= x <= width - BOX[0] and 0 <= y <= height - BOX[1]


def test_notes_are_text():
    svg = stage_graph(["predict"], {"predict": ["3 jobs < 4"]})
    texts = [text.text for text in ElementTree.fromstring(svg).iter("text")]
    assert texts == ["predict", "3 jobs < 4"]
