"""AP of groups of positives: values by hand, resamples as rows that are repeated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet import metrics
from ssdet.evaluate.grouped_ap import grouped_ap, ranked, resampled_ap


def of(scores, positive):
    return ranked(np.array(scores, np.float32), np.array(positive, np.bool_))


def test_values_by_hand():
    # ranked: yes (a), no, yes (b), no, yes (b)
    found = of([5, 4, 3, 2, 1], [1, 0, 1, 0, 1])
    groups = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 1], [0, 0, 0]], np.bool_)
    ap = grouped_ap(found, groups)
    assert ap[0] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)  # the usual AP
    assert ap[1] == 1.0
    # each of the two counts 3/2, behind one and two negatives
    assert ap[2] == pytest.approx((1.5 / (1.5 + 1) + 3 / (3 + 2)) / 2)
    assert np.isnan(ap[3])


def test_equally_hard_groups_have_the_same_ap():
    draws = np.random.default_rng(0)
    positive = draws.random(200_000) < 0.05
    scores = draws.normal(size=positive.size) + 2 * positive
    found = of(scores, positive)
    few = draws.random(positive.sum()) < 0.1
    ap = grouped_ap(found, np.stack([np.ones_like(few), few, ~few]))
    assert ap == pytest.approx([ap[0]] * 3, abs=0.01)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(3, 60))
def test_one_group_of_all_is_the_usual_ap(seed, rows):
    draws = np.random.default_rng(seed)
    positive = draws.random(rows) < 0.4
    positive[0] = True
    scores = draws.normal(size=rows).round(1).astype(np.float32)
    found = of(scores, positive)
    everything = np.ones((1, positive.sum()), np.bool_)
    expected = metrics.average_precision(scores[:, None], positive[:, None])
    assert grouped_ap(found, everything) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_a_resample_is_a_set_of_repeated_videos(seed):
    """With copies sharing one threshold, as scikit-learn has it for ties."""
    draws = np.random.default_rng(seed)
    video = np.repeat(np.arange(4), 6)
    positive = draws.random(24) < 0.4
    positive[:2] = True
    scores = draws.permutation(24.0 + np.arange(24)).astype(np.float32)
    counts = draws.multinomial(4, [0.25] * 4, size=5)
    found = of(scores, positive)
    everything = np.ones((1, positive.sum()), np.bool_)
    again = resampled_ap(found, everything, video, counts)
    for drawn, ap in zip(counts, again[:, 0], strict=True):
        rows = np.repeat(np.arange(24), drawn[video])
        expected = metrics.average_precision(
            scores[rows, None], positive[rows, None], ties="grouped"
        )[0]
        assert ap == pytest.approx(expected, abs=1e-12, nan_ok=True)
