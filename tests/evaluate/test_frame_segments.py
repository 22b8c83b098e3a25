"""Stretches above a threshold, by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ssdet.data.annotation_formats.table import read_table
from ssdet.evaluate.detections import Detection
from ssdet.evaluate.frame_segments import as_table, segments_above

TIMES_S = np.array([0.0, 2.0, 4.0, 6.0])


def found(*columns, duration_s=8.0, threshold=0.5):
    chances = np.array(columns).T
    names = [f"c{k}" for k in range(len(columns))]
    return segments_above(chances, TIMES_S, duration_s, names, threshold)


def test_borders_lie_midway_between_rows():
    assert found([0.1, 0.6, 0.8, 0.2]) == [Detection(1.0, 5.0, "c0", 0.7)]


def test_the_first_and_the_last_row_reach_the_ends_of_the_video():
    assert found([0.5, 0.5, 0.5, 0.5]) == [Detection(0.0, 8.0, "c0", 0.5)]
    first, last = found([0.9, 0, 0, 0.9])
    assert (first.start_s, first.end_s) == (0.0, 1.0)
    assert (last.start_s, last.end_s) == (5.0, 8.0)


def test_classes_overlap_and_come_by_their_start():
    segments = found([0, 0, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0])
    assert [(one.label, one.start_s) for one in segments] == [("c1", 0.0), ("c0", 3.0)]


def test_rows_behind_the_end_of_the_video_give_nothing():
    assert found([0, 0, 0, 1], duration_s=5.0) == []
    assert found([0, 0, 1, 1], duration_s=5.0) == [Detection(3.0, 5.0, "c0", 1.0)]


@given(
    arrays.arrays(np.float64, (4, 3), elements=st.floats(0, 1)),
    st.floats(0, 1),
    st.floats(6.5, 9),
)
def test_every_row_is_inside_its_segments_and_no_other(chances, threshold, duration_s):
    names = ["a", "b", "c"]
    segments = segments_above(chances, TIMES_S, duration_s, names, threshold)
    for k, name in enumerate(names):
        own = [one for one in segments if one.label == name]
        for row, time_s in enumerate(TIMES_S):
            inside = any(one.start_s <= time_s < one.end_s for one in own)
            assert inside == (chances[row, k] >= threshold)
        for before, after in pairwise(own):
            assert before.end_s < after.start_s


def test_the_table_can_be_read_as_labels(tmp_path):
    path, problems = tmp_path / "found.csv", []
    one = Detection(1.0, 2.25, "run, fast", 0.75)
    path.write_text(as_table({"b": [], "a": [one]}))
    assert path.read_text() == (
        'video_id,start_s,end_s,label,score\na,1.000,2.250,"run, fast",0.7500\nb,,,,\n'
    )
    videos = {video.video_id: video for video in read_table(path, problems, None)}
    assert not problems and not videos["b"].segments
    (segment,) = videos["a"].segments
    assert (segment.start_s, segment.end_s, segment.label) == (1.0, 2.25, "run, fast")


def test_a_threshold_above_all():
    assert found([0.4, 0.3, 0.2, 0.1]) == []
    assert found([0.4, 0.3, 0.2, 0.1], threshold=0.0)[0].score == pytest.approx(0.25)
