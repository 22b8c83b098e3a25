import numpy as np
import pytest

from ssdet.evaluate.segment_decoding import Candidate, decode, stretch_around, top

NOTHING = -4.0


def video(*actions, snippets=12, classes=3):
    """Logits and mask of certain actions (start, end, class)."""
    logits = np.full((classes + 1, snippets), NOTHING)
    logits[classes] = 0
    mask = np.zeros((snippets, snippets))
    for start, end, label in actions:
        logits[label, start:end] = 5
        mask[start:end, start:end] = 0.8
    return logits, mask


def test_two_actions():
    found = decode(*video((1, 4, 0), (6, 11, 2)), 8, [0.5], 2)
    places = {(round(c.start * 12), round(c.end * 12), c.label) for c in found}
    assert places == {(1, 4, 0), (6, 11, 2)}


def test_touching_actions_of_one_class_stay_two():
    found = decode(*video((1, 4, 0), (4, 9, 0)), 8, [0.1, 0.5], 2)
    places = {(round(c.start * 12), round(c.end * 12)) for c in found}
    assert places == {(1, 4), (4, 9)}


def test_each_segment_has_its_best_score_once():
    logits, mask = video((2, 6, 1))
    mask[3, 2:6] = 0.9  # the mask of snippet 3 is surest
    found = decode(logits, mask, 4, [0.1, 0.5, 0.7], 2)
    assert len(found) == 1
    chance = np.exp(5) / (np.exp(5) + 1 + 2 * np.exp(NOTHING))
    assert found[0].score == pytest.approx(0.9 * chance)


def test_short_segments_and_snippets_outside_their_own_mask():
    logits, mask = video((5, 6, 0))
    assert decode(logits, mask, 3, [0.5], 2) == []
    assert len(decode(logits, mask, 3, [0.5], 1)) == 1
    mask[5, 5] = 0.4
    assert decode(logits, mask, 3, [0.5], 1) == []


def test_background_is_no_label():
    logits, mask = video()
    mask[:] = 0.9
    found = decode(logits, mask, 1, [0.5], 2)
    assert found == [Candidate(0.0, 1.0, pytest.approx(0.9 * 0.0174, rel=0.02), 0)]


@pytest.mark.parametrize(
    ("i", "expected"), [(0, (0, 2)), (1, (0, 2)), (4, (3, 6)), (7, (7, 8))]
)
def test_stretch(i, expected):
    assert stretch_around(np.array([1, 1, 0, 1, 1, 1, 0, 1], bool), i) == expected


def test_equal_snippets_come_in_order():
    assert top(np.array([1.0, 3.0, 3.0, 2.0]), 3) == [1, 2, 3]
