import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet.augment.cutmix import (
    ViewDraw,
    transient_view,
    transient_window,
    view_borders,
    view_shift,
    window_mask,
)
from ssdet.augment.pairs import PairDraw, draw_pair, overlay
from ssdet.augment.soft_labels import hard_labels
from tests.augment.recipes import noise, seeded

SWAP = torch.tensor([1, 0])
WINDOW = {"covering": True, "symmetric": False}


def black_and_white(frames, width):
    return torch.stack(
        [torch.zeros(1, frames, 1, width), torch.ones(1, frames, 1, width)]
    )


def labels(frames):
    return hard_labels(torch.tensor([5, 6]), frames)


def test_a_window_sweeps_from_right_to_left():
    both = torch.tensor([[0, 0], [1, 1]]), torch.tensor([[3, 3], [3, 3]])
    mixed, soft = transient_window(
        black_and_white(4, 12), labels(4), PairDraw(SWAP, *both), **WINDOW
    )
    frames = mixed[0, 0, :, 0]
    assert frames.sum(1).tolist() == [0, 4, 8, 12]  # columns of the second clip
    assert frames[1].tolist() == [0] * 8 + [1] * 4
    assert soft.weights[1, 0].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_the_smooth_zone_is_an_eighth_of_the_width():
    pair = PairDraw(
        torch.tensor([0]), torch.tensor([[0], [0]]), torch.tensor([[1], [1]])
    )
    second = window_mask(overlay(pair, 1, False, False), 32)[0, 0]
    assert second.tolist() == pytest.approx([0] * 14 + [0.2, 0.4, 0.6, 0.8] + [1] * 14)


def test_a_window_shows_black_where_there_is_neither_clip():
    both = torch.tensor([[0, 0], [2, 2]]), torch.tensor([[1, 1], [1, 1]])
    mixed, soft = transient_window(
        black_and_white(4, 4) + 1,
        labels(4),
        PairDraw(SWAP, *both),
        covering=False,
        symmetric=False,
    )
    assert mixed[0, 0, :, 0, 0].tolist() == [1, 0, 2, 0]
    assert soft.weights[:, 0].tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]


@pytest.mark.parametrize(
    ("width", "begin", "end"),
    [(16, 7, 9), (224, 98, 126), (7, 4, 4), (14, 7, 7), (9, 4, 5), (1, 1, 1)],
)
def test_borders_of_the_views(width, begin, end):
    assert view_borders(width) == (begin, end)


def test_views_slide_in_opposite_directions():
    columns = torch.arange(16.0).expand(2, 1, 4, 1, 16) + torch.tensor([0, 100]).view(
        2, 1, 1, 1, 1
    )
    draw = ViewDraw(SWAP, torch.tensor([True, False]))
    mixed, soft = transient_view(columns, labels(4), draw)
    assert view_shift(4, 16, torch.device("cpu")).tolist() == [0, 1, 3, 5]
    assert mixed[0, 0, 3, 0, :7].tolist() == list(range(5, 12))
    assert mixed[0, 0, 3, 0, 9:].tolist() == list(range(104, 111))
    assert mixed[1, 0, 3, 0, :7].tolist() == list(range(100, 107))  # does not slide
    assert mixed[1, 0, 3, 0, 9:].tolist() == list(range(9, 16))
    ramp = torch.tensor([1 / 3, 2 / 3])
    own, other = torch.tensor([12.0, 13]), torch.tensor([102.0, 103])
    shared = mixed[0, 0, 3, 0, 7:9].tolist()
    assert shared == pytest.approx(((1 - ramp) * own + ramp * other).tolist())
    assert soft.weights.unique().tolist() == [0.5]
    assert soft.visible.all()


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    width=st.integers(1, 70),
    covering=st.booleans(),
    symmetric=st.booleans(),
)
def test_windows_share_every_frame(seed, width, covering, symmetric):
    video = noise(1, 1, 8, 1, width).repeat(6, 1, 1, 1, 1)
    draw = draw_pair(6, 8, seeded(seed))
    mixed, soft = transient_window(
        video,
        hard_labels(torch.arange(6), 8),
        draw,
        covering=covering,
        symmetric=symmetric,
    )
    seen = soft.visible.any(0)  # (6, 8)
    assert covering <= bool(seen.all())
    expected = video * seen[:, None, :, None, None]
    assert mixed.equal(expected)  # all clips are the same one
    assert soft.weights.sum(0).allclose(seen.float())
    assert ((soft.weights >= 0) & (soft.weights <= 1)).all()


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**31), width=st.integers(1, 70), frames=st.integers(1, 9))
def test_views_stay_inside_the_frame(seed, width, frames):
    video = torch.arange(float(width)).expand(3, 2, frames, 2, width)
    partner = torch.randperm(3, generator=seeded(seed))
    draw = ViewDraw(partner, torch.ones(3, dtype=torch.bool))
    mixed, soft = transient_view(video, hard_labels(torch.arange(3), frames), draw)
    begin, end = view_borders(width)
    steps = mixed.diff(dim=4)
    assert (steps[..., : max(0, begin - 1)] == 1).all()  # neither wraps nor skips
    assert (steps[..., end:] == 1).all()
    assert soft.weights.sum(0).allclose(torch.ones(3, frames))
