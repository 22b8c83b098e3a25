import math

import pytest

from ssdet.evaluate.reference_decoding import reference_decode, reference_suppress
from ssdet.evaluate.segment_decoding import Candidate
from tests.evaluate.test_segment_decoding import video


def test_two_actions_become_one_segment():
    """The first flaw: a segment reaches from the first to the last set snippet."""
    logits, mask = video((10, 30, 0), (60, 90, 0), snippets=100)
    mask += 0.01
    found = reference_decode(logits, mask, None)
    places = {(c.start, c.end) for c in found}
    assert (0.1, 0.89) in places  # of the class scores
    assert (0.0, 0.99) in places  # threshold 0: the whole video, always


def test_fewer_snippets_than_published_have_scores_too():
    found = reference_decode(*video((2, 5, 0), snippets=12), None)
    assert found
    assert all(0 < c.score_a <= 1 and 0 < c.score_b <= 1 for c in found)


def test_another_programs_label_and_score():
    logits, mask = video((10, 30, 0), snippets=100)
    found = reference_decode(logits, mask, (7, 0.25))
    assert {(c.label, c.score_b) for c in found} == {(7, 0.25)}


def test_scores_may_rise_and_the_last_one_is_lost():
    whole = Candidate(0.0, 1.0, 0.9, 0)
    inside = Candidate(0.0, 0.05, 0.5, 1)  # "overlap" 0.05 / (1 - 0.05 + 0.05)
    kept = reference_suppress([whole, inside, Candidate(2.0, 3.0, 0.1, 0)])
    assert [candidate.label for candidate in kept] == [0, 1]
    assert kept[1].score == pytest.approx(0.5 * math.exp(-10 * 0.05**2) / 0.6)
    assert kept[1].score > inside.score


def test_segments_that_meet_lower_each_other():
    first, second = Candidate(0.0, 0.2, 0.5, 0), Candidate(0.2, 0.4, 0.4, 0)
    apart = Candidate(0.6, 0.8, 0.3, 0)
    assert reference_suppress([first, second, apart]) == [first, apart]
