"""Average precision of whole test sets: values that can be checked by hand."""

import dataclasses

import numpy as np
import pytest

from ssdet import metrics
from ssdet.data.annotations import Segment
from ssdet.data.interpolate import Stream
from ssdet.data.sampling import Timeline
from ssdet.evaluate import ranked_rows, ranking
from ssdet.evaluate.protocol import EvaluatedVideo, Lost
from ssdet.evaluate.ranked_rows import Scores

CLASSES = {"a": 0, "b": 1}


def video(name, frames, duration_s, *segments):
    found = tuple(Segment(*segment) for segment in segments)
    return EvaluatedVideo(name, found, Timeline(frames, duration_s, 1))


def stream(rows, times_s):
    return Stream(np.array(rows, np.float32), np.array(times_s, np.float64))


def test_dense_frames_are_interpolated_and_strictly_labelled():
    # frames at 0, 1, 2, 3 s; "a" is seen at 1 and 2 s, its logits there are 5 and 6
    videos = [video("v", 4, 4.0, (0.0, 3.0, "a"))]
    streams = {"v": [stream([[4.0, 0.0], [6.0, 0.0], [7.0, 0.0]], [0.0, 2.0, 3.0])]}
    found = ranking.dense_scores(videos, streams, CLASSES)
    assert found.rows == 4 and found.positives.tolist() == [2, 0]
    # ranked: 7 (no), 6 (yes), 5 (yes), 4 (no)
    assert found.ap[0] == (1 / 2 + 2 / 3) / 2 and np.isnan(found.ap[1])
    assert found.chance[0] == 2 / 4 and np.isnan(found.chance[1])


def test_all_videos_are_ranked_together():
    videos = [video("v", 2, 2.0, (0.5, 2.0, "a")), video("w", 2, 2.0, (0.5, 2.0, "a"))]
    streams = {
        "v": [stream([[8.0, 0.0], [9.0, 0.0]], [0.0, 1.0])],
        "w": [stream([[1.0, 0.0], [2.0, 0.0]], [0.0, 1.0])],
    }
    # yes 9, no 8, yes 2, no 1
    ap = ranking.dense_scores(videos, streams, CLASSES).ap
    assert ap[0] == (1 + 2 / 3) / 2


def test_instants_include_both_ends():
    videos = [video("v", 50, 25.0, (0.0, 1.0, "a"), (24.5, 25.0, "b"))]
    rows = [[25.0 - t, 0.0] for t in range(25)]
    streams = {"v": [stream(rows, np.arange(25.0))]}
    found = ranking.instant_scores(videos, [], streams, CLASSES)
    assert found.rows == 25 and found.positives.tolist() == [2, 0]
    assert found.ap[0] == 1.0


def test_lost_videos_rank_last_with_their_positives():
    videos = [video("v", 50, 25.0, (0.0, 1.0, "a"))]
    streams = {"v": [stream([[-1.0 - t, 0.0] for t in range(25)], np.arange(25.0))]}
    lost = [
        Lost("w", "missing", "", (Segment(0.0, 0.0, "a"),), 10.0),
        Lost("x", "missing", "", (Segment(0.0, 5.0, "a"),), None),
    ]
    found = ranking.instant_scores(videos, lost, streams, CLASSES)
    assert found.rows == 50 and found.positives.tolist() == [3, 0]
    assert found.ap[0] == pytest.approx((1 + 1 + 3 / 26) / 3, abs=1e-15)


def test_blocks_of_classes_change_nothing(monkeypatch):
    draws = np.random.default_rng(0)
    classes = {f"c{k}": k for k in range(7)}
    videos, streams = [], {}
    for number in range(3):
        segments = [
            (start, start + 2.0, f"c{k}")
            for k, start in enumerate(draws.uniform(0, 6, 7))
        ]
        videos.append(video(f"v{number}", 30 + number, 8.0, *segments))
        streams[f"v{number}"] = [stream(draws.normal(size=(5, 7)), np.arange(5) * 1.7)]
    whole = ranking.dense_scores(videos, streams, classes)
    monkeypatch.setattr(ranked_rows, "BLOCK_BYTES", 8 * 93 * 3)
    blocks = ranking.dense_scores(videos, streams, classes, threads=2)
    assert len(list(ranked_rows._blocks(7, 93))) == 3
    assert (whole.ap == blocks.ap).all()
    assert (whole.positives == blocks.positives).all()


def test_probabilities_give_the_same_ap_but_for_rounding():
    draws = np.random.default_rng(3)
    logits = draws.normal(0, 40, (400, 1))
    labels = draws.random((400, 1)) < 1 / (1 + np.exp(-logits / 40))
    sigmoid = 1 / (1 + np.exp(-logits))
    exact = metrics.average_precision(logits, labels)
    assert metrics.average_precision(sigmoid, labels) != exact  # saturated: ties
    mild = 1 / (1 + np.exp(-logits / 40))
    assert metrics.average_precision(mild, labels) == exact


def test_metrics_are_plain_json():
    nan = float("nan")
    dense = Scores(np.array([0.5, nan]), np.array([10, 0]), 40)
    instants = Scores(np.array([0.25, 0.75]), np.array([6, 2]), 50)
    assert ranking.metrics_of(dense, instants, ["a", "b"]) == {
        "dense_map": 0.5,
        "map_25": 0.5,
        "map_25_weighted": (0.25 * 6 + 0.75 * 2) / 8,
        "chance": {
            "dense_map": 0.25,
            "map_25": (6 / 50 + 2 / 50) / 2,
            "map_25_weighted": pytest.approx((6 * 6 + 2 * 2) / 50 / 8),
        },
        "per_class": [
            {
                "class": "a",
                "ap": 0.5,
                "positives": 10,
                "chance": 0.25,
                "ap_25": 0.25,
                "positives_25": 6,
            },
            {
                "class": "b",
                "ap": None,
                "positives": 0,
                "chance": None,
                "ap_25": 0.75,
                "positives_25": 2,
            },
        ],
    }
    empty = dataclasses.replace(dense, ap=dense.ap * nan, positives=np.zeros(2, int))
    with pytest.raises(ValueError, match="no action is seen in any frame"):
        ranking.metrics_of(empty, instants, ["a", "b"])


def test_no_action_at_any_instant():
    dense = Scores(np.array([0.5]), np.array([10]), 40)
    instants = Scores(np.array([float("nan")]), np.array([0]), 50)
    found = ranking.metrics_of(dense, instants, ["a"])
    assert found["dense_map"] == 0.5
    assert found["map_25"] is None and found["map_25_weighted"] is None
    assert found["chance"]["map_25"] is None


def test_steps_stand_for_their_own_times():
    # rows at 0, 2, 3 s; "a" is seen at 2 s and 3 s, where the logits are 6 and 4
    videos = [video("v", 4, 4.0, (0.0, 3.5, "a"))]
    streams = {"v": [stream([[5.0, 0.0], [6.0, 0.0], [4.0, 0.0]], [0.0, 2.0, 3.0])]}
    found = ranking.step_scores(videos, streams, CLASSES)
    assert found.rows == 3 and found.positives.tolist() == [2, 0]
    assert found.ap[0] == (1 + 2 / 3) / 2
