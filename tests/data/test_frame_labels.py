"""Frame labels and the official instants: bounds, order of operations, errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet.data.annotations import Segment
from ssdet.data.frame_labels import frame_labels, instant_labels, official_instants


def rows(names):
    return {name: row for row, name in enumerate(names)}


def bits(labels):
    return ["".join(map(str, row)) for row in labels.tolist()]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (1.0, 3.0, "00011100"),  # frames stand for 0, 0.5, 1, ... s at 2 fps
        (0.9, 3.1, "00111110"),
        (0.0, 9.0, "01111111"),  # a video's first frame is never inside
        (-1.0, 0.1, "10000000"),
        (1.0, 1.0, "00000000"),
        (3.0, 1.0, "00000000"),
        (3.2, 3.4, "00000000"),
        (3.4, 99.0, "00000001"),
    ],
)
def test_bounds_are_strict(start, end, expected):
    labels = frame_labels([Segment(start, end, "a")], {"a": 0}, 8, 2.0)
    assert labels.dtype == np.uint8
    assert bits(labels) == [expected]


def test_segments_join_within_their_class():
    segments = [Segment(0.4, 1.1, "b"), Segment(0.9, 2.1, "b"), Segment(1.9, 9, "a")]
    labels = frame_labels(segments, rows("abc"), 5, 2.0)
    assert bits(labels) == ["00001", "01111", "00000"]


def test_a_video_without_actions_is_all_background():
    assert frame_labels([], rows("ab"), 3, 24.0).tolist() == [[0] * 3] * 2


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 200),
    st.floats(0.5, 100),
    st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 1500)), max_size=6),
)
def test_rule_holds_in_double_precision(frames, duration, pairs):
    """The slices mark the same frames as the rule, asked frame by frame."""
    fps = frames / duration
    segments = [Segment(a / 100, b / 100, "x") for a, b in pairs]
    expected = [
        int(any(s.start_s < f / fps < s.end_s for s in segments)) for f in range(frames)
    ]
    assert frame_labels(segments, {"x": 0}, frames, fps)[0].tolist() == expected


def test_instants_divide_before_they_multiply():
    instants = official_instants(30.5)
    assert instants.tolist() == [(j / 25) * 30.5 for j in range(25)]
    assert instants[3] == 3.6599999999999997 != 3 * 30.5 / 25
    assert instants[0] == 0 and instants[-1] < 30.5


def test_instants_count_both_ends():
    exactly = Segment(1.0, 3.0, "a")  # instants at 0, 1, 2, ... s
    beside = Segment(1.01, 2.99, "b")
    labels = instant_labels([exactly, beside, Segment(0, 0, "c")], rows("abc"), 25.0)
    assert [np.flatnonzero(row).tolist() for row in labels] == [[1, 2, 3], [2], [0]]


def test_a_segment_that_ends_before_it_starts_labels_no_instant():
    assert not instant_labels([Segment(5.0, 3.0, "a")], {"a": 0}, 10.0).any()


@pytest.mark.parametrize("label", [frame_labels, instant_labels])
def test_unknown_classes_are_listed(label):
    segments = [Segment(0, 1, "jump"), Segment(0, 1, "a"), Segment(0, 1, "run")]
    rest = (4, 2.0) if label is frame_labels else (2.0,)
    with pytest.raises(ValueError, match=r"not among the 1 classes: jump, run"):
        label(segments, {"a": 0}, *rest)
