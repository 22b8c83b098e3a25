"""Average precision: values by hand, ties, absent classes, scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from ssdet import metrics

NAN = float("nan")


def one(scores, labels, **options):
    scores, labels = np.array(scores)[:, None], np.array(labels)[:, None]
    return metrics.average_precision(scores, labels, **options)[0]


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([3.0, 2.0, 1.0], [1, 0, 0], 1.0),
        ([3.0, 2.0, 1.0], [0, 0, 1], 1 / 3),
        ([4.0, 3.0, 2.0, 1.0], [1, 0, 1, 0], (1 + 2 / 3) / 2),
        ([1.0, 2.0, 3.0, 4.0], [1, 0, 1, 0], (1 / 2 + 2 / 4) / 2),
        ([1.0, 1.0], [1, 1], 1.0),
        ([5.0], [1], 1.0),
        ([1.0, -np.inf, np.inf], [1, 1, 0], (1 / 2 + 2 / 3) / 2),
        ([-1.0, -3.0, -2.0], [1, 0, 1], 1.0),
        ([-1e-300, 1e-300, 0.0], [0, 1, 1], 1.0),
    ],
)
def test_values_by_hand(scores, labels, expected):
    assert one(scores, labels) == pytest.approx(expected, abs=1e-15)


def test_ties_keep_the_order_of_the_rows():
    assert one([1.0, 1.0, 1.0], [0, 1, 0]) == 1 / 2
    assert one([1.0, 1.0, 1.0], [1, 0, 0]) == 1.0


def test_grouped_ties_share_one_threshold():
    assert one([1.0, 1.0, 1.0], [0, 1, 0], ties="grouped") == pytest.approx(1 / 3)
    assert one([2.0, 1.0, 1.0], [1, 1, 0], ties="grouped") == pytest.approx(5 / 6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_zeros_of_both_signs_are_tied(dtype):
    zeros = np.array([-0.0, 0.0, -0.0], dtype)
    assert one(zeros, [0, 1, 0]) == 1 / 2
    assert one(zeros[::-1], [1, 0, 0]) == 1.0


def test_a_class_without_positives_has_no_average_precision():
    ap = metrics.average_precision([[1.0, 2.0], [2.0, 1.0]], [[0, 1], [0, 0]])
    assert np.isnan(ap[0]) and ap[1] == 1.0


def test_no_class_and_no_row():
    assert metrics.average_precision(np.empty((4, 0)), np.empty((4, 0))).size == 0
    assert np.isnan(metrics.average_precision(np.empty((0, 2)), np.empty((0, 2)))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tied", [False, True])
def test_scikit_learn_agrees(dtype, tied):
    draws = np.random.default_rng(5)
    scores = draws.permuted(np.linspace(-9, 9, 600 * 21).reshape(600, 21))
    scores = scores.round(0 if tied else 9).astype(dtype)
    labels = (draws.random(scores.shape) < 0.2).astype(np.uint8)
    expected = [average_precision_score(labels[:, k], scores[:, k]) for k in range(21)]
    ties = "grouped" if tied else "row_order"
    found = metrics.average_precision(scores, labels, ties=ties)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 300), st.floats(0.01, 0.99))
def test_scikit_learn_agrees_wherever_no_scores_are_tied(seed, rows, share):
    draws = np.random.default_rng(seed)
    scores = draws.permuted(np.sinh(np.linspace(-9, 9, rows * 2))).reshape(rows, 2)
    labels = draws.random((rows, 2)) < share
    labels[0] = True  # no class is absent
    expected = [average_precision_score(labels[:, k], scores[:, k]) for k in range(2)]
    found = metrics.average_precision(scores, labels)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_scikit_learn_agrees_on_many_rows():
    draws = np.random.default_rng(3)
    scores = draws.permuted(np.linspace(-9, 9, 2 * 100_000)).reshape(-1, 2)
    scores = scores.astype(np.float32)
    labels = draws.random(scores.shape) < 0.02 * (scores > -3)
    expected = [average_precision_score(labels[:, k], scores[:, k]) for k in range(2)]
    found = metrics.average_precision(scores, labels, ties="grouped")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0.01, 0.99))
def test_tie_free_values_do_not_depend_on_rows_or_scale(seed, rows, share):
    draws = np.random.default_rng(seed)
    scores = draws.permuted(np.arange(rows * 3.0)).reshape(rows, 3)
    labels = draws.random((rows, 3)) < share
    shuffle = draws.permutation(rows)
    expected = metrics.average_precision(scores, labels)
    for changed in (scores[shuffle], np.exp(scores[shuffle] / rows)):
        found = metrics.average_precision(changed, labels[shuffle])
        np.testing.assert_allclose(found, expected, atol=1e-15)


def test_threads_and_layout_change_nothing():
    draws = np.random.default_rng(1)
    scores = draws.normal(size=(900, 40)).round(1)
    labels = draws.random((900, 40)) < 0.1
    expected = metrics.average_precision(scores, labels)
    assert (metrics.average_precision(scores, labels, threads=3) == expected).all()
    found = metrics.class_average_precision(scores.T, labels.T, threads=2)
    assert (found == expected).all()


def test_random_scores_reach_the_share_of_positives():
    draws = np.random.default_rng(2)
    labels = draws.random((40_000, 8)) < 0.05
    ap = metrics.average_precision(draws.random(labels.shape), labels)
    assert metrics.mean_over_present(ap) == pytest.approx(labels.mean(), rel=0.1)


def test_means_leave_absent_classes_out():
    ap, counts = [0.5, NAN, 0.0, 1.0], [10, 0, 30, 10]
    assert metrics.mean_over_present(ap) == 0.5
    assert metrics.weighted_mean_over_present(ap, counts) == 15 / 50
    assert np.isnan(metrics.mean_over_present([NAN, NAN]))
    assert np.isnan(metrics.weighted_mean_over_present([NAN], [0]))


def test_positives_are_counted_by_class():
    assert metrics.positives([[1, 0], [1, 0], [0, 0]]).tolist() == [2, 0]


def test_nan_is_refused_with_its_place():
    scores = np.zeros((4, 20))
    scores[2, 17] = NAN
    with pytest.raises(
        ValueError, match=r"1 scores are NaN, first row 2 of class.* 17"
    ):
        metrics.average_precision(scores, np.zeros((4, 20)))


@pytest.mark.parametrize("value", [2, -1, 0.5])
def test_labels_other_than_0_and_1_are_refused(value):
    with pytest.raises(ValueError, match=f"labels must be 0 or 1, found {value}"):
        metrics.average_precision(np.zeros((2, 1)), [[value], [1]])


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"got \(3, 2\) and \(2, 3\)"):
        metrics.average_precision(np.zeros((3, 2)), np.zeros((2, 3)))
