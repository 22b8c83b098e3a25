import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssdet.augment.random_foreground import (
    crop,
    draw_order,
    draw_spans,
    normalise,
    shuffle,
    span_mask,
)
from ssdet.randomness import generator


@given(st.integers(2, 150), st.integers(0, 10**6))
def test_spans_lie_in_the_video(snippets, seed):
    spans = draw_spans(snippets, 3, generator(seed))
    assert (spans >= 0).all()
    assert (spans[:, 0] < spans[:, 1]).all()
    assert (spans[:, 1] < snippets).all()


def test_spans_are_of_all_lengths():
    spans = draw_spans(100, 4000, generator(0))
    lengths = spans[:, 1] - spans[:, 0]
    assert lengths.min() >= 5
    assert lengths.max() >= 95
    # 94 starts, each with every end behind it; those below 5 are lengthened by 10
    assert lengths.double().mean() == pytest.approx(28.4, abs=1.5)


def test_only_the_spans_are_left():
    x = torch.arange(1.0, 9.0).view(1, 1, 8)
    spans = torch.tensor([[[1, 3], [5, 6]]])
    assert crop(x, spans).flatten().tolist() == [0, 2, 3, 0, 0, 6, 0, 0]
    assert x[0, 0, 0] == 1


def test_overlapping_spans_count_as_one_unless_as_published():
    spans = torch.tensor([[[0, 2], [1, 3]], [[1, 2], [0, 0]]])
    merged = span_mask(spans, 4, merge=True)
    assert merged[0].tolist() == [[1, 1, 1, 0]] * 3 + [[0] * 4]
    assert merged[1].nonzero().tolist() == [[1, 1]]
    squares = span_mask(spans, 4, merge=False)
    assert squares[0].tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0] * 4]


def test_separate_spans_are_two_squares_either_way():
    spans = torch.tensor([[[0, 2], [3, 4]]])
    expected = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    for merge in (True, False):
        assert span_mask(spans, 4, merge)[0].tolist() == expected


@given(st.integers(0, 10**6))
def test_the_merged_mask_can_be_read_off_the_crop(seed):
    spans = draw_spans(30, 2, generator(seed))[None]
    line = crop(torch.ones(1, 1, 30), spans).flatten()
    mask = span_mask(spans, 30, merge=True)[0]
    assert torch.equal(mask.diagonal(), line)
    for i in range(29):  # neighbours are joined just when both are there
        assert mask[i, i + 1] == line[i] * line[i + 1]


def test_normalise():
    x = torch.tensor([[[1.0, 3.0, 2.0], [4.0, 4.0, 4.0]]])
    assert normalise(x).tolist() == [[[0.0, 1.0, 0.5], [0.0, 0.0, 0.0]]]


def test_blocks_change_places():
    x = torch.arange(6.0).view(1, 1, 6)
    moved, origin = shuffle(x, torch.tensor([[2, 0, 1]]))
    assert moved.flatten().tolist() == [4, 5, 0, 1, 2, 3]
    assert origin.tolist() == [[2, 2, 0, 0, 1, 1]]


def test_each_video_has_its_own_order():
    x = torch.arange(4.0).expand(2, 1, 4)
    moved, _ = shuffle(x, torch.tensor([[1, 0], [0, 1]]))
    assert moved[:, 0].tolist() == [[2, 3, 0, 1], [0, 1, 2, 3]]


def test_an_order_holds_every_block():
    assert sorted(draw_order(5, generator(0)).tolist()) == [0, 1, 2, 3, 4]


def test_unequal_blocks():
    with pytest.raises(ValueError, match="10 snippets do not make 3 equal blocks"):
        shuffle(torch.zeros(1, 1, 10), torch.zeros(1, 3, dtype=torch.long))
