import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet.augment.freeze import (
    FreezeDraw,
    draw_freeze,
    frozen_order,
    volume_freeze,
)
from ssdet.augment.soft_labels import hard_labels
from ssdet.config import FreezeConfig
from tests.augment.recipes import noise, seeded


def one(*values):
    return torch.tensor([values])  # (1, S)


def freeze(video, start, length, background="class"):
    labels = hard_labels(torch.tensor([3]), video.shape[2])
    return volume_freeze(video, labels, FreezeDraw(one(start), one(length)), background)


@pytest.mark.parametrize(
    ("start", "length", "expected", "held"),
    [
        (1, 2, [0, 1, 1, 2, 3], [1, 2]),
        (0, 1, [0, 1, 2, 3, 4], [0]),
        (0, 5, [0, 0, 0, 0, 0], [0, 1, 2, 3, 4]),
        (3, 2, [0, 1, 2, 3, 3], [3, 4]),
        (2, 0, [0, 1, 2, 3, 4], []),
    ],
)
def test_order_of_frames_and_background(start, length, expected, held):
    video = torch.arange(5.0).view(1, 1, 5, 1, 1)
    frozen, labels = freeze(video, start, length)
    assert frozen.flatten().tolist() == expected
    background = (labels.labels[0, 0] == 0).nonzero().flatten().tolist()
    assert background == held
    assert (labels.weights == 1).all()
    assert labels.visible.all()


def test_ignored_background_has_neither_weight_nor_visibility():
    _, labels = freeze(torch.zeros(1, 1, 5, 1, 1), 1, 2, "ignore")
    assert labels.labels.flatten().tolist() == [3] * 5
    assert labels.weights.flatten().tolist() == [1, 0, 0, 1, 1]
    assert labels.visible.flatten().tolist() == [True, False, False, True, True]


def test_whole_frames_move_in_every_channel():
    video = noise(2, 3, 4, 2, 5)
    labels = hard_labels(torch.tensor([1, 2]), 4)
    draw = FreezeDraw(torch.tensor([[0], [2]]), torch.tensor([[3], [2]]))
    frozen, _ = volume_freeze(video, labels, draw, "class")
    assert frozen[0].equal(video[0][:, [0, 0, 0, 1]])
    assert frozen[1].equal(video[1][:, [0, 1, 2, 2]])


def test_the_second_segment_freezes_what_the_first_left():
    source, held = frozen_order(one(1, 1), one(2, 3), 6)
    assert source[0].tolist() == [0, 1, 1, 1, 1, 2]
    assert held[0].int().tolist() == [0, 1, 1, 1, 1, 0]


@settings(deadline=None, max_examples=60)
@given(data=st.data(), frames=st.integers(1, 20), segments=st.integers(1, 4))
def test_frames_never_go_back_or_skip(data, frames, segments):
    lengths = data.draw(st.lists(st.integers(0, frames), min_size=segments, max_size=9))
    starts = [data.draw(st.integers(0, frames - max(1, n))) for n in lengths]
    source, held = frozen_order(one(*starts), one(*lengths), frames)
    assert source.shape == held.shape == (1, frames)
    assert source[0, 0] == 0
    steps = source[0].diff()
    assert ((steps == 0) | (steps == 1)).all()
    assert held[0][1:][steps == 0].all()  # what stands still is background
    assert held.sum() <= sum(lengths)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**31), frames=st.integers(6, 33))
def test_draws_fit_the_clip(seed, frames):
    config = FreezeConfig(min_length=2, max_fraction=0.5, segments=3)
    draw = draw_freeze(50, frames, config, seeded(seed))
    assert draw.start.shape == draw.length.shape == (50, 3)
    assert draw.length.min() >= 2
    assert draw.length.max() < frames / 2
    assert draw.start.min() >= 0
    assert (draw.start + draw.length).max() <= frames


def test_every_length_and_place_is_drawn():
    config = FreezeConfig(min_length=2, max_fraction=0.5, segments=1)
    draw = draw_freeze(2000, 8, config, seeded())
    pairs = set(map(tuple, torch.cat([draw.length, draw.start], 1).tolist()))
    assert pairs == {(m, s) for m in (2, 3) for s in range(8 - m + 1)}


def test_clips_too_short_to_freeze_are_refused():
    config = FreezeConfig(min_length=2, max_fraction=0.5, segments=1)
    with pytest.raises(ValueError, match=r"min_length \(2\) must not exceed 1"):
        draw_freeze(4, 4, config, seeded())
