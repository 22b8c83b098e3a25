"""Interpolation in time: values by hand, ends, mean and interpolation commute."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet.data.interpolate import Stream, average, interpolate


def test_linear_between_and_held_beyond():
    logits = np.array([[0.0, 10.0], [4.0, 10.0], [2.0, -10.0]], np.float32)
    found = interpolate(logits, [1.0, 2.0, 4.0], [0.0, 1.0, 1.25, 2.0, 3.0, 4.0, 9.0])
    assert found.dtype == np.float64
    assert found[:, 0].tolist() == [0, 0, 1, 4, 3, 2, 2]
    assert found[:, 1].tolist() == [10, 10, 10, 10, 0, -10, -10]


def test_one_row_holds_everywhere():
    assert interpolate([[3.0]], [0.5], [0.0, 0.5, 7.0]).tolist() == [[3], [3], [3]]


def test_corners_are_torch_align_corners():
    import torch

    logits = np.random.default_rng(0).normal(size=(7, 2))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(logits.T)[None], size=64, mode="linear", align_corners=True
    )[0].T
    found = interpolate(logits, np.linspace(0, 63 / 24, 7), np.arange(64) / 24)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_equal_rows_stay_exactly_equal():
    at_s = np.random.default_rng(1).uniform(-1, 5, 500)
    assert (interpolate([[0.1], [0.1], [0.1]], [0.0, 0.3, 3.1], at_s) == 0.1).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_mean_and_interpolation_commute(seed, rows):
    draws = np.random.default_rng(seed)
    times_s = np.cumsum(draws.uniform(0.1, 1, rows))
    a, b = draws.normal(size=(2, rows, 3))
    at_s = draws.uniform(-1, 10, 20)
    first = interpolate((a + b) / 2, times_s, at_s)
    after = (interpolate(a, times_s, at_s) + interpolate(b, times_s, at_s)) / 2
    assert first == pytest.approx(after, abs=1e-12)


def test_streams_of_two_rates_are_averaged_at_the_frames():
    logits = np.array([[9.0, 0.0], [0.0, 9.0], [9.0, 0.0]])
    ramp = Stream(np.array([[0.0, 0.0], [3.0, 3.0]]), np.array([0.0, 3.0]), 2 / 3)
    steps = Stream(logits, np.array([0.0, 1.5, 3.0]), 1 / 3)
    found = average([ramp, steps], np.array([0.0, 1.5, 2.25, 3.0]))
    expected = [[3.0, 0.0], [1.0, 4.0], [3.0, 3.0], [5.0, 2.0]]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    first = average([ramp, steps], np.array([1.5]), slice(1, 2))
    np.testing.assert_allclose(first, [[4.0]], atol=1e-12)
