import math

import pytest
import torch

from ssdet.train.pseudo_labels import flip_labels, pseudo_labels, ramp_up


def made(sure_mask=(0.3, 0.7)):
    chances = torch.tensor([[[0.8, 0.6, 0.1], [0.1, 0.3, 0.1], [0.1, 0.1, 0.8]]])
    mask = torch.tensor([[[0.9, 0.7, 0.2], [0.5, 0.3, 0.31], [0.0, 1.0, 0.69]]])
    return pseudo_labels(torch.log(chances), mask, 0.7, sure_mask)


def test_only_what_is_sure_counts():
    labels = made()
    assert labels.classes.tolist() == [[0, 0, 2]]
    assert labels.kept_snippets.tolist() == [[True, False, True]]
    assert labels.mask.tolist() == [[[1, 1, 0], [0, 0, 0], [0, 1, 0]]]
    assert labels.kept_cells.tolist() == [
        [[True, True, True], [False, True, False], [True, True, False]]
    ]


def test_one_threshold_leaves_no_cell_out():
    labels = made((0.7, 0.7))
    assert labels.kept_cells.all()
    assert labels.mask.tolist() == [[[1, 1, 0], [0, 0, 0], [0, 1, 0]]]


def test_flipped_labels():
    labels = made()
    there = flip_labels(labels, torch.tensor([True]))
    assert there.classes.tolist() == [[2, 0, 0]]
    assert there.kept_snippets.tolist() == [[True, False, True]]
    assert there.mask.tolist() == [[[0, 1, 0], [0, 0, 0], [0, 1, 1]]]
    back = flip_labels(there, torch.tensor([True]))
    assert all(torch.equal(a, b) for a, b in zip(back, labels, strict=True))


def test_labels_have_no_gradient():
    logits = torch.zeros(1, 2, 3, requires_grad=True)
    mask = torch.zeros(1, 3, 3, requires_grad=True)
    assert not any(
        x.requires_grad for x in pseudo_labels(logits, mask, 0.7, (0.3, 0.7))
    )


def test_ramp():
    assert ramp_up(0, 5, 2.0) == pytest.approx(2 * math.exp(-5))
    assert ramp_up(2.5, 5, 2.0) == pytest.approx(2 * math.exp(-1.25))
    assert ramp_up(5, 5, 2.0) == ramp_up(50, 5, 2.0) == 2.0
    assert ramp_up(0, 0, 2.0) == 2.0
