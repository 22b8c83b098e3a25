import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet.augment.mixup import volume_mixup
from ssdet.augment.pairs import PairDraw, draw_pair
from ssdet.augment.soft_labels import hard_labels, take_label_frames
from tests.augment.recipes import noise, seeded

PLAIN = {"covering": True, "shift": False, "symmetric": False}
SWAP = torch.tensor([1, 0])


def draw(start, length):
    """The same intervals for both clips of a batch of two."""
    return PairDraw(
        SWAP,
        torch.tensor(start)[:, None].repeat(1, 2),
        torch.tensor(length)[:, None].repeat(1, 2),
    )


def ramps():
    """Clip 0 counts frames 0, 1, 2, ...; clip 1 counts 10, 11, ..."""
    return torch.stack([torch.arange(4.0), torch.arange(10.0, 14)])[
        :, None, :, None, None
    ]


def test_a_cross_fade():
    labels = hard_labels(torch.tensor([5, 6]), 4)
    mixed, soft = volume_mixup(ramps(), labels, draw((0, 1), (3, 3)), **PLAIN)
    first = torch.tensor([1, 2 / 3, 1 / 3, 0])
    expected = first * torch.arange(4) + (1 - first) * torch.arange(10, 14)
    assert mixed[0].flatten().tolist() == pytest.approx(expected.tolist())
    assert soft.labels[:, 0, 0].tolist() == [5, 6]
    assert soft.labels[:, 1, 0].tolist() == [6, 5]
    assert soft.weights[0, 0].tolist() == pytest.approx(first.tolist())
    assert soft.visible[:, 0].int().tolist() == [[1, 1, 1, 0], [0, 1, 1, 1]]


def test_shift_plays_each_clip_from_its_first_frame():
    labels = hard_labels(torch.tensor([5, 6]), 4)
    labels = take_label_frames(labels, torch.arange(4).expand(2, 4))
    labels.labels[0, 1] = torch.arange(20, 24)
    mixed, soft = volume_mixup(
        ramps(), labels, draw((0, 2), (2, 2)), **{**PLAIN, "shift": True}
    )
    assert mixed[0].flatten().tolist() == [0, 1, 10, 11]
    assert mixed[1].flatten().tolist() == [10, 11, 0, 1]
    assert soft.labels[1, 0, 2:].tolist() == [20, 21]


def test_frames_of_neither_are_black():
    labels = hard_labels(torch.tensor([5, 6]), 4)
    mixed, soft = volume_mixup(
        ramps() + 1, labels, draw((0, 2), (1, 1)), **{**PLAIN, "covering": False}
    )
    assert mixed[0].flatten().tolist() == [1, 0, 13, 0]
    assert soft.weights[:, 0].tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**31), symmetric=st.booleans())
def test_a_clip_mixed_with_itself_is_unchanged(seed, symmetric):
    video = noise(1, 2, 16, 3, 4).repeat(5, 1, 1, 1, 1)
    pair = draw_pair(5, 16, seeded(seed))
    labels = hard_labels(torch.full((5,), 3), 16)
    mixed, soft = volume_mixup(
        video, labels, pair, covering=True, shift=False, symmetric=symmetric
    )
    assert mixed.equal(video)
    assert soft.weights.sum(0).allclose(torch.ones(5, 16))


def test_half_precision_stays_half_precision():
    video = noise(2, 1, 4, 2, 2).bfloat16()
    labels = hard_labels(torch.tensor([1, 2]), 4)
    mixed, _ = volume_mixup(video, labels, draw((0, 1), (3, 3)), **PLAIN)
    assert mixed.dtype == torch.bfloat16
