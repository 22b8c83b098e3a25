import pytest
import torch

from ssdet.augment.snippet_views import (
    StrongView,
    draw_view,
    drop_elements,
    drop_snippets,
    flip_time,
    strong,
)
from ssdet.randomness import generator

KEEP = torch.ones(2, 3)
NONE = torch.zeros(2, 3, dtype=torch.bool)
FIRST = torch.tensor([[True, False, False], [False, False, False]])


def test_shift_flip_and_drop():
    x = torch.arange(1.0, 5.0).expand(2, 3, 4)
    scale = torch.tensor([[1.0, 1.0, 0.0], [2.0, 1.0, 1.0]])
    view = StrongView(torch.tensor([False, True]), FIRST, FIRST.roll(1, 1), scale)
    out = strong(x, view)
    assert out[0].tolist() == [[2, 3, 4, 0], [0, 1, 2, 3], [0, 0, 0, 0]]
    assert out[1].tolist() == [[8, 6, 4, 2], [4, 3, 2, 1], [4, 3, 2, 1]]


def test_drawn_views():
    view = draw_view(400, 130, 0.25, 64, 0.2, 0.1, generator(1))
    assert view.flip.double().mean() == pytest.approx(0.25, abs=0.06)
    moving = ~view.flip
    assert (view.earlier[moving].sum(1) == 2).all()  # 130 // 64
    assert (view.later[moving].sum(1) == 2).all()
    assert not (view.earlier & view.later).any()
    assert not view.earlier[view.flip].any()
    dropped = (view.scale == 0).double().mean(1)
    assert dropped[moving].mean() == pytest.approx(0.2, abs=0.01)
    assert dropped[view.flip].mean() == pytest.approx(0.1, abs=0.01)
    assert view.scale.mean() == pytest.approx(1, abs=0.01)


def test_flip_of_both_axes():
    x = torch.arange(4.0).view(1, 2, 2).repeat(2, 1, 1)
    out = flip_time(x, torch.tensor([True, False]), -2)
    assert out.tolist() == [[[3, 2], [1, 0]], [[0, 1], [2, 3]]]


def test_weak_view_drops_numbers_and_keeps_the_mean():
    x = torch.ones(4, 50, 100)
    out = drop_elements(x, 0.05, generator(0))
    assert (out == 0).double().mean() == pytest.approx(0.05, abs=0.005)
    assert out.max() == pytest.approx(1 / 0.95)


def test_snippets_are_dropped_whole():
    out = drop_snippets(torch.ones(20, 3, 100), 0.2, generator(0))
    gone = (out == 0).all(1)
    assert torch.equal(gone, (out == 0).any(1))
    assert gone.double().mean() == pytest.approx(0.2, abs=0.03)


def test_no_drop_changes_nothing():
    x = torch.randn(2, 3, 4)
    view = StrongView(torch.tensor([False, False]), NONE, NONE, KEEP)
    for out in (
        strong(x, view),
        drop_elements(x, 0.0, generator(0)),
        drop_snippets(x, 0.0, generator(0)),
    ):
        torch.testing.assert_close(out, x)
