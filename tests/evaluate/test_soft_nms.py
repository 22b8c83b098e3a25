import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssdet.evaluate.segment_decoding import Candidate
from ssdet.evaluate.soft_nms import suppress

CANDIDATES = st.lists(
    st.builds(
        lambda start, length, score, label: Candidate(
            start, start + length, score, label
        ),
        st.floats(0, 1),
        st.floats(0.01, 1),
        st.floats(0.01, 1),
        st.integers(0, 2),
    ),
    max_size=12,
)


def test_overlap_with_a_better_one_of_the_class_costs():
    first, second = Candidate(0.0, 0.4, 0.9, 1), Candidate(0.2, 0.6, 0.8, 1)
    kept = suppress([second, first], 0.1, 10)
    assert kept[0] == first
    assert kept[1].score == pytest.approx(0.8 * math.exp(-((1 / 3) ** 2) / 0.1))


def test_other_classes_and_other_times_do_not():
    candidates = [
        Candidate(0.0, 0.4, 0.9, 1),
        Candidate(0.0, 0.4, 0.8, 2),
        Candidate(0.4, 0.8, 0.7, 1),
    ]
    assert suppress(candidates, 0.1, 10) == candidates


def test_only_the_best_of_all_classes_are_returned():
    candidates = [Candidate(0.1 * i, 0.1 * i + 0.1, 0.1 * i, i % 2) for i in range(9)]
    kept = suppress(candidates, 0.1, 3)
    assert [candidate.score for candidate in kept] == pytest.approx([0.8, 0.7, 0.6])


def test_none():
    assert suppress([], 0.1, 10) == []


@given(CANDIDATES)
def test_scores_only_fall_and_none_is_lost(candidates):
    kept = suppress(candidates, 0.1, 100)
    assert len(kept) == len(candidates)
    scores = [candidate.score for candidate in kept]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) <= sum(c.score for c in candidates) + 1e-9
    for label in {c.label for c in candidates}:
        best = max(c.score for c in candidates if c.label == label)
        assert best in [c.score for c in kept if c.label == label]
