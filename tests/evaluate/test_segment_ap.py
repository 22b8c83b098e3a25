"""AP of segments: values by hand, and a plain loop as the official program has it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet.data.annotations import Segment
from ssdet.evaluate.detections import Detection
from ssdet.evaluate.segment_ap import THRESHOLDS, segment_scores, whole_videos

HALF = np.array([0.5])


def one(truth, found, thresholds=HALF):
    return segment_scores(truth, found, np.array(thresholds))


def test_a_second_detection_of_the_same_segment_is_false():
    truth = {"v": [Segment(0, 10, "a"), Segment(20, 30, "a")]}
    found = {
        "v": [
            Detection(0, 9, "a", 0.9),  # finds the first
            Detection(0, 10, "a", 0.8),  # the first again: false
            Detection(20, 30, "a", 0.7),  # finds the second
        ]
    }
    # precisions at the hits: 1 and 2/3
    assert one(truth, found).ap[0, 0] == pytest.approx((1 + 2 / 3) / 2)


def test_a_taken_segment_leaves_the_next_best():
    truth = {"v": [Segment(0, 10, "a"), Segment(2, 12, "a")]}
    found = {"v": [Detection(0, 10, "a", 0.9), Detection(0, 10, "a", 0.8)]}
    # the second overlaps the first segment more, which is taken: it takes the other
    assert one(truth, found).ap[0, 0] == 1.0


def test_precision_is_the_best_at_any_later_rank():
    truth = {"v": [Segment(0, 1, "a"), Segment(2, 3, "a"), Segment(4, 5, "a")]}
    found = {
        "v": [
            Detection(8, 9, "a", 0.9),  # false
            Detection(0, 1, "a", 0.8),  # 1/2, but 2/3 is reached later
            Detection(2, 3, "a", 0.7),  # 2/3
        ]
    }
    assert one(truth, found).ap[0, 0] == pytest.approx((2 / 3 + 2 / 3) / 3)


def test_what_counts_as_false():
    truth = {"v": [Segment(0, 1, "a")], "w": [], "x": [Segment(0, 1, "b")]}
    hit = Detection(0, 1, "a", 0.1)
    for name in ("w", "x", "unknown"):
        scores = one(truth, {"v": [hit], name: [Detection(0, 1, "a", 0.9)]})
        assert scores.classes == ("a", "b")
        assert scores.ap[0].tolist() == [1 / 2, 0.0]  # b: nothing detected
        assert scores.map.tolist() == [1 / 4]


def test_labels_that_are_not_annotated_change_nothing_and_are_counted():
    truth = {"v": [Segment(0, 1, "a")]}
    found = {"v": [Detection(0, 1, "a", 0.1), Detection(0, 1, "z", 0.9)]}
    scores = one(truth, found)
    assert scores.ap[0].tolist() == [1.0] and scores.ignored == 1


def test_equal_scores_keep_the_order_of_the_file():
    truth = {"v": [Segment(0, 1, "a")], "w": []}
    hit, miss = [Detection(0, 1, "a", 0.5)], [Detection(0, 1, "a", 0.5)]
    assert one(truth, {"v": hit, "w": miss}).ap[0, 0] == 1.0
    assert one(truth, {"w": miss, "v": hit}).ap[0, 0] == 1 / 2


def test_overlaps_that_just_reach_a_threshold_count():
    truth = {"v": [Segment(0, 10, "a")]}
    for name, end in (("activitynet", 9.0), ("thumos14", 4.0)):
        scores = segment_scores(
            truth, {"v": [Detection(0, end, "a", 1.0)]}, THRESHOLDS[name]
        )
        reached = THRESHOLDS[name] <= end / 10
        assert reached.any() and not reached.all()
        assert scores.ap[:, 0].tolist() == reached.tolist()


def test_segments_without_length_are_never_found():
    truth = {"v": [Segment(5, 5, "a"), Segment(0, 1, "a")]}
    found = {"v": [Detection(5, 5, "a", 0.9), Detection(0, 1, "a", 0.8)]}
    assert one(truth, found).ap[0, 0] == pytest.approx((1 / 2) / 2)


def test_recall_counts_the_hundred_best_of_a_video():
    truth = {"v": [Segment(0, 1, "a")], "w": [Segment(0, 1, "a"), Segment(0, 1, "b")]}
    noise = [Detection(50, 60, "a", 0.9)] * 100
    found = {"v": [Detection(0, 1, "a", 0.1), *noise], "w": [Detection(0, 1, "a", 0.1)]}
    assert one(truth, found).recall.tolist() == [1 / 3]
    assert one(truth, {**found, "v": found["v"][:100]}).recall.tolist() == [2 / 3]


def test_one_who_never_looks_when():
    truth = {"v": [Segment(0, 6, "a"), Segment(2, 4, "b")], "w": []}
    found = whole_videos(truth, {"v": 10.0, "w": 5.0})
    assert found["w"] == []
    scores = segment_scores(truth, found, THRESHOLDS["activitynet"])
    assert scores.ap[:, 0].tolist() == [1.0] * 3 + [0.0] * 7  # tIoU of a: 0.6
    assert not scores.ap[:, 1].any()


def test_nothing_annotated_is_an_error():
    with pytest.raises(ValueError, match="nothing to detect"):
        one({"v": []}, {})


# ---- the official program, written plainly ------------------------------------------


def official(truth, found, label, threshold):
    """AP of one class; nested loops over detections and segments."""
    ranked = [(d, name) for name, items in found.items() for d in items]
    ranked = [(d, name) for d, name in ranked if d.label == label]
    ranked.sort(key=lambda item: -item[0].score)
    count = sum(s.label == label for items in truth.values() for s in items)
    taken, hits = set(), []
    for detection, name in ranked:
        overlaps = []
        for place, segment in enumerate(truth.get(name, [])):
            if segment.label == label:
                start = max(detection.start_s, segment.start_s)
                end = min(detection.end_s, segment.end_s)
                both = max(0.0, end - start)
                whole = detection.end_s - detection.start_s
                whole += segment.end_s - segment.start_s - both
                overlaps.append((both / whole if whole > 0 else 0.0, place))
        hit = False
        for overlap, place in sorted(overlaps, reverse=True):
            if overlap < threshold:
                break
            if (name, place) not in taken:
                taken.add((name, place))
                hit = True
                break
        hits.append(hit)
    precision = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
    best = [max(precision[n:]) for n in range(len(hits))]
    return sum(p for p, hit in zip(best, hits, strict=True) if hit) / count


def drawn(draws, videos, most, scored):
    found = {}
    for name in videos:
        starts = draws.integers(0, 12, draws.integers(0, most))
        spans = [(float(s), float(s + draws.integers(0, 6))) for s in starts]
        found[name] = [
            Detection(*span, str(draws.choice(["a", "b"])), float(draws.random()))
            if scored
            else Segment(*span, str(draws.choice(["a", "b"])))
            for span in spans
        ]
    return found


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_plain_loops_agree(seed):
    draws = np.random.default_rng(seed)
    truth = drawn(draws, "vwx", 6, scored=False)
    truth["v"].append(Segment(1.0, 4.0, "a"))
    found = drawn(draws, "wvxu", 12, scored=True)
    for thresholds in THRESHOLDS.values():
        scores = segment_scores(truth, found, thresholds)
        for column, label in enumerate(scores.classes):
            expected = [official(truth, found, label, t) for t in thresholds]
            np.testing.assert_allclose(scores.ap[:, column], expected, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_order_of_videos_and_dropped_videos(seed):
    draws = np.random.default_rng(seed)
    truth = drawn(draws, "vwx", 6, scored=False)
    truth["v"].append(Segment(1.0, 4.0, "a"))
    found = drawn(draws, "vwx", 12, scored=True)
    scores = segment_scores(truth, found, HALF)
    turned = {name: found[name] for name in reversed(found)}
    assert (segment_scores(truth, turned, HALF).ap == scores.ap).all()
    hits_of_v_gone = segment_scores(truth, {**found, "v": []}, HALF)
    assert hits_of_v_gone.recall <= scores.recall
