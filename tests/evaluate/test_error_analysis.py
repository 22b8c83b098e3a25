"""Errors of a detector that are put there on purpose, and found again."""

import numpy as np
import pytest

from ssdet.data.annotations import Segment
from ssdet.data.interpolate import Stream
from ssdet.data.sampling import Timeline
from ssdet.evaluate.error_analysis import Group, analyse, interval, length_edges
from ssdet.evaluate.false_detections import detections
from ssdet.evaluate.frame_table import frame_table
from ssdet.evaluate.grouped_ap import ranked
from ssdet.evaluate.protocol import EvaluatedVideo

CLASSES = {"a": 0, "b": 1}


def video(name, *segments, frames=10):
    """One frame each second."""
    found = tuple(Segment(*segment) for segment in segments)
    return EvaluatedVideo(name, found, Timeline(frames, float(frames), 1))


def table_of(videos, logits, **options):
    """Logits (frames, K) of each video, one row for each frame."""
    streams = {
        v.video_id: [Stream(np.array(x, float), np.arange(float(len(x))))]
        for v, x in zip(videos, logits, strict=True)
    }
    return frame_table(videos, streams, CLASSES, boundary_s=1.0, **options)


def column(a):
    """Logits of class a; class b scores its frame number, reversed."""
    return np.stack([np.array(a, float), -np.arange(len(a))], axis=1)


# Frames 0..9. a: 2, 3, 4 are positive; 1 and 5, 6 are its boundary; b: 7, 8.
ONE = video("v", (1.5, 5.0, "a"), (6.5, 9.0, "b"))


def test_rows_of_a_video():
    table = table_of([ONE], [column(range(10))])
    assert np.flatnonzero(table.labels[0]).tolist() == [2, 3, 4]
    assert np.flatnonzero(table.labels[1]).tolist() == [7, 8]
    assert np.flatnonzero(table.near[0]).tolist() == [1, 5, 6]
    assert np.flatnonzero(table.near[1]).tolist() == [6, 9]
    assert np.flatnonzero(table.length_s[0]).tolist() == [2, 3, 4]
    assert set(table.length_s[0]) == {0.0, 3.5} and table.step == 1
    assert table.scores[0].tolist() == list(range(10))


def test_the_longest_action_counts():
    twice = video("v", (0.5, 8.5, "a"), (1.5, 3.5, "a"))
    table = table_of([twice], [column(range(10))])
    assert table.length_s[0].tolist() == [0.0] + [8.0] * 8 + [0.0]


def test_frames_are_left_out_evenly_from_another_start_in_each_video():
    videos = [video("v", (0.5, 9.0, "a")), video("w"), video("x", frames=1)]
    logits = [column(range(10)), column(range(10, 20)), column([99])]
    table = table_of(videos, logits, rows=11)
    assert table.step == 2
    assert table.scores[0].tolist() == [0, 2, 4, 6, 8, 11, 13, 15, 17, 19, 99]
    assert table.video.tolist() == [0] * 5 + [1] * 5 + [2]
    assert table.labels[0].tolist() == [False] + [True] * 4 + [False] * 6


@pytest.mark.parametrize(
    ("best", "expected", "other"),
    [
        ((2, 3, 4), [3, 0, 0, 0], None),
        ((2, 1, 6), [1, 2, 0, 0], None),
        ((3, 7, 8), [1, 0, 2, 0], 1),
        ((0, 9, 7), [0, 0, 1, 2], 1),
    ],
)
def test_kinds_of_detected_frames(best, expected, other):
    logits = np.zeros(10)
    logits[list(best)] = 1.0
    table = table_of([ONE], [column(logits)])
    of_class = ranked(table.scores[0], table.labels[0])
    found = detections(table, 0, of_class)
    assert found.counts.tolist() == expected
    assert (found.confused_with, found.confused) == (other, expected[2])


def test_groups_of_actions():
    """A short a is missed, a long one found; b is in the frame only with a."""
    videos = [
        video("v", (0.5, 1.5, "a"), (3.5, 9.5, "a"), (3.5, 5.5, "b")),
        video("w"),
    ]
    a = [0, -9, 0, 0, 5, 5, 5, 5, 5, 5]
    b = [0, 0, 0, 0, 9, 8, 0, 0, 0, 0]
    logits = [np.stack([a, b], axis=1), np.zeros((10, 2))]
    found = analyse(table_of(videos, logits), videos, CLASSES, 5, seed=0)
    # lengths 1, 2 and 6 s: quartiles 1.5, 2 and 4 s
    assert found.groups == (
        Group("all", "all"),
        Group("length", "up to 1.5 s"),
        Group("length", "1.5 to 2 s"),
        Group("length", "2 to 4 s"),
        Group("length", "over 4 s"),
        Group("simultaneous", "1"),
        Group("simultaneous", "2"),
        Group("simultaneous", "3"),
        Group("simultaneous", "4 or more"),
    )
    nan = np.nan
    # a: six frames found first, one behind 13 negatives of 20 frames
    alone = 7 / (7 + 13)
    everything = (6 + alone) / 7
    four = 7 / 5 * np.arange(1, 6)
    one_action = (4 + four[4] / (four[4] + 13)) / 5
    expected_a = [everything, alone, nan, nan, 1, one_action, 1, nan, nan]
    np.testing.assert_allclose(found.ap[0], expected_a, atol=1e-12)
    expected_b = [1, nan, 1, nan, nan, nan, 1, nan, nan]
    np.testing.assert_allclose(found.ap[1], expected_b, atol=1e-12)
    assert found.map[0] == pytest.approx((everything + 1) / 2)
    assert found.map[1] == pytest.approx(alone)
    assert found.rows[:, 0].tolist() == [7, 2]
    assert (found.instances.tolist(), found.videos.tolist()) == ([2, 1], [1, 1])
    assert np.isnan(found.low).all()  # of one video nothing can be said


def test_intervals_hold_the_value_and_shrink_with_more_videos():
    draws = np.random.default_rng(0)
    shown = np.isin(np.arange(10), np.arange(1, 6)) * 1.0
    widths = []
    for count in (10, 160):
        videos = [video(f"v{n}", (0.5, 5.5, "a")) for n in range(count)]
        logits = [column(shown + draws.normal(size=10)) for _ in videos]
        found = analyse(table_of(videos, logits), videos, CLASSES, 200, seed=0)
        low, high = found.low[0, 0], found.high[0, 0]
        assert 0 < low < found.ap[0, 0] < high < 1
        assert (found.map_low[0], found.map_high[0]) == (low, high)  # b: never
        assert found.detections[1] is None and np.isnan(found.ap[1]).all()
        widths.append(high - low)
    assert 2.5 < widths[0] / widths[1] < 6  # about the root of 16


def test_same_seed_same_intervals():
    videos = [video(f"v{n}", (0.5, 5.5, "a"), (2, 4, "b")) for n in range(5)]
    draws = np.random.default_rng(1)
    table = table_of(videos, [draws.normal(size=(10, 2)) for _ in videos])
    first, second = (analyse(table, videos, CLASSES, 20, seed) for seed in (3, 3))
    other = analyse(table, videos, CLASSES, 20, seed=4)
    np.testing.assert_array_equal(first.low, second.low)
    assert (first.low[:, 0] != other.low[:, 0]).any()


def test_intervals_lie_about_the_value():
    again = np.linspace(0.5, 0.7, 201)
    assert interval(0.4, again) == pytest.approx((0.305, 0.495))
    assert interval(0.05, again) == pytest.approx((0.0, 0.145))
    assert np.isnan(interval(0.05, np.full(3, np.nan))).all()


def test_edges_of_lengths():
    assert length_edges([1.0, 2.0, 3.0, 4.0, 5.0]) == [2.0, 3.0, 4.0]
    assert length_edges([1.0, 1.0, 1.0]) == [1.0]
    assert length_edges([]) == []
