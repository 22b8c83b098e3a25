import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet.augment.pairs import PairDraw, draw_pair, intervals, overlay
from tests.augment.recipes import seeded


def pair(start, length):
    """A clip with itself; each argument has one value for each of the two."""
    return PairDraw(
        torch.tensor([0]), torch.tensor(start)[:, None], torch.tensor(length)[:, None]
    )


def weights(start, length, frames, covering=False, symmetric=False):
    found = overlay(pair(start, length), frames, covering, symmetric)
    return found.weights[:, 0].tolist()


@pytest.mark.parametrize(
    ("start", "length", "first"),
    [
        ((0, 1), (3, 3), [1, 2 / 3, 1 / 3, 0]),  # 1 -> 2
        ((1, 0), (3, 3), [0, 1 / 3, 2 / 3, 1]),  # 2 -> 1
        ((0, 0), (4, 4), [1 / 5, 2 / 5, 3 / 5, 4 / 5]),  # a tie
        ((0, 1), (4, 2), [1, 0, 2 / 3, 1]),  # 1 -> 2 -> 1, half a frame early
        ((1, 0), (2, 4), [0, 1, 1 / 3, 0]),  # 2 -> 1 -> 2
    ],
)
def test_weights_by_order(start, length, first):
    one, two = weights(start, length, 4)
    assert one == pytest.approx(first)
    assert two == pytest.approx([1 - w for w in first])


def test_symmetric_vee():
    one, _ = weights((0, 1), (6, 4), 6, symmetric=True)
    assert one == pytest.approx([1, 3 / 5, 1 / 5, 1 / 5, 3 / 5, 1])


def test_frames_of_neither_have_no_weight():
    found = overlay(pair((1, 3), (1, 1)), 5, covering=False, symmetric=False)
    assert found.weights[:, 0].tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 1, 0]]
    assert found.visible[:, 0].sum() == 2


@pytest.mark.parametrize(
    ("start", "length", "begin", "end"),
    [
        ((3, 5), (9, 10), (0, 5), (9, 16)),
        ((5, 3), (9, 10), (5, 0), (16, 10)),
        ((4, 4), (8, 8), (0, 4), (8, 16)),  # the first leads, and no longer ends last
        ((0, 0), (8, 8), (0, 0), (16, 8)),  # both ties go to the first
    ],
)
def test_covering_rule(start, length, begin, end):
    draw = pair(start, length)
    found = intervals(draw.start, draw.length, 16, covering=True)
    assert [tuple(x.flatten().tolist()) for x in found] == [begin, end]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    frames=st.integers(1, 20),
    symmetric=st.booleans(),
    covering=st.booleans(),
)
def test_weights_are_shares(seed, frames, symmetric, covering):
    draw = draw_pair(64, frames, seeded(seed))
    assert sorted(draw.partner.tolist()) == list(range(64))
    assert (draw.length >= frames / 2).all()
    assert (draw.start >= 0).all()
    assert (draw.start + draw.length <= frames).all()
    found = overlay(draw, frames, covering, symmetric)
    seen = found.visible.any(0)
    if covering:
        assert seen.all()  # also for an odd number of frames
    assert (found.parts >= 0).all()
    assert (found.parts <= found.whole).all()
    assert found.parts.sum(0).equal(found.whole * seen)
    assert (found.parts[~found.visible] == 0).all()
