"""Ranks of a few rows: the same as of a stable sort, whatever the scores are like."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet import ranks
from tests.kernels.compiler import needs_compiler


def ranks_of_all(scores):
    """Rank of each row, by NumPy's own stable sort."""
    found = np.empty(len(scores), np.int64)
    found[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    return found


def test_ranks_by_hand():
    scores = np.array([1.0, 3.0, 3.0, 2.0, 3.0])
    assert ranks.ranks_of(scores, np.array([0, 2, 4])).tolist() == [1, 2, 4]
    assert ranks.ranks_of(scores, np.array([], np.int64)).size == 0


def drawn(data, dtype, least):
    """Scores of any kind, at least so many, with ties among them."""
    numbers = st.floats(allow_nan=False, width=8 * np.dtype(dtype).itemsize)
    few = st.sampled_from([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, 1e-30, -1e-30])
    lists = st.lists(numbers | few, min_size=least, max_size=60)
    return np.array(data.draw(lists), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(deadline=None, max_examples=50)
@given(st.data())
def test_order_is_that_of_a_stable_sort(dtype, data):
    scores = drawn(data, dtype, 0)
    expected = np.argsort(-scores, kind="stable")
    assert ranks.descending_order(scores).tolist() == expected.tolist()


SPREADS = {
    "logits": lambda x: x,
    "ties": lambda x: x.round(1),
    "saturated": lambda x: np.clip(x, -0.5, 0.5),
    "outlier": lambda x: np.where(np.arange(x.size) == 7, 1e30, x),
    "infinite": lambda x: np.where(np.arange(x.size) % 5, x, -np.inf),
    "both infinite": lambda x: np.where(x > 0, np.inf, -np.inf),
    "equal": lambda x: 0 * x,
    "two": lambda x: np.where(x > 2, 1.0, 1.0 + 2**-23),
    "tiny": lambda x: x * 1e-40,
    "huge": lambda x: x * 1e38,
    "tails": lambda x: np.sinh(9 * x),
    "zeros of both signs": lambda x: np.where(x > 1, x, np.copysign(0.0, x)),
}


@pytest.fixture
def always_compiled(monkeypatch):
    monkeypatch.setattr(ranks, "FEW", 0)


@needs_compiler
@pytest.mark.usefixtures("always_compiled")
@pytest.mark.parametrize("share", [0.0005, 0.02, 0.9, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", SPREADS)
def test_counting_gives_the_ranks_of_a_sort(spread, dtype, share):
    draws = np.random.default_rng(7)
    with np.errstate(over="ignore"):
        scores = SPREADS[spread](draws.normal(size=5000)).astype(dtype)
    rows = np.sort(draws.permutation(5000)[: int(5000 * share)])
    expected = np.sort(ranks_of_all(scores)[rows])
    found = ranks._compiled(scores, rows)
    assert found.tolist() == expected.tolist()
    assert ranks.ranks_of(scores[::-1][::-1], rows).tolist() == found.tolist()


@needs_compiler
@pytest.mark.usefixtures("always_compiled")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(deadline=None, max_examples=100)
@given(st.data())
def test_ranks_of_any_scores(dtype, data):
    scores = drawn(data, dtype, 1)
    rows = sorted(data.draw(st.sets(st.integers(0, len(scores) - 1), min_size=1)))
    expected = np.sort(ranks_of_all(scores)[rows])
    assert ranks.ranks_of(scores, np.array(rows)).tolist() == expected.tolist()


@pytest.mark.parametrize("kernels", ["on", "off"])
def test_many_rows(monkeypatch, kernels):
    monkeypatch.setenv("SSDET_CPU_KERNELS", kernels)
    draws = np.random.default_rng(1)
    scores = draws.normal(size=2**17).astype(np.float32)
    rows = np.flatnonzero(draws.random(2**17) < 0.01)
    expected = np.sort(ranks_of_all(scores)[rows])
    assert (ranks.ranks_of(scores, rows) == expected).all()
