import math

import pytest

from ssdet.data.annotations import Segment
from ssdet.train.heat_map import centres, heat_map_target

CLASSES = {"walk": 0, "sit": 1}


def test_a_bell_by_hand():
    """8 steps in 8 s. Middle 3.25: centre 4; 1.5 s are 1 step: radius 2, scale 5/4."""
    segments = [Segment(2.5, 4.0, "sit")]
    assert centres(segments, CLASSES, 8, 8.0) == [(1, 4, 1, 2)]
    target = heat_map_target(segments, CLASSES, 8, 8.0)
    bell = [math.exp(-((d / 1.25) ** 2)) for d in (2, 1, 0, 1, 2)]
    assert target[1].tolist() == pytest.approx([0, 0, *bell, 0])
    assert target[1, 4] == 1
    assert target[0].tolist() == [0] * 8


def test_bells_that_meet_keep_the_higher_value():
    apart = [
        heat_map_target([segment], CLASSES, 8, 8.0)
        for segment in (Segment(0.5, 3.9, "sit"), Segment(3.0, 6.5, "sit"))
    ]
    both = heat_map_target(
        [Segment(0.5, 3.9, "sit"), Segment(3.0, 6.5, "sit")], CLASSES, 8, 8.0
    )
    assert both.tolist() == [
        [max(a, b) for a, b in zip(*rows, strict=True)]
        for rows in zip(*apart, strict=True)
    ]


@pytest.mark.parametrize(
    ("start", "end"),
    [(2.0, 4.0), (5.0, 4.5), (7.0, 9.0), (9.0, 10.0)],
    ids=["middle on a border", "reversed", "middle at the end", "after the end"],
)
def test_actions_that_are_not_drawn(start, end):
    segments = [Segment(start, end, "walk")]
    assert centres(segments, CLASSES, 8, 8.0) == []
    assert heat_map_target(segments, CLASSES, 8, 8.0).max() == 0


def test_a_centre_behind_the_last_step_leaves_no_1():
    segments = [Segment(6.5, 8.5, "walk")]  # middle 7.5, in the last step
    assert centres(segments, CLASSES, 8, 8.0) == [(0, 8, 2, 4)]
    target = heat_map_target(segments, CLASSES, 8, 8.0)
    assert 0.7 < target.max() < 1


def test_an_action_shorter_than_a_step_is_one_cell():
    target = heat_map_target([Segment(2.2, 2.3, "walk")], CLASSES, 8, 8.0)
    assert target[0].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
