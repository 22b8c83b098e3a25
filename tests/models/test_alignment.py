import math

import pytest
import torch

from ssdet.models.alignment import even_centres, gaussian_alignment, grid_centres


def test_centres_of_a_grid():
    grid, start = torch.tensor([[0.0, 0.5, 1.0]]), torch.tensor([2.5])
    assert grid_centres(grid, 9, start, "fixed").tolist() == [[2.5, 6.5, 10.5]]
    assert grid_centres(grid, 9, start, "reference").tolist() == [[2.5, 7.0, 11.5]]


def test_centres_without_a_grid():
    start = torch.tensor([1, 3])
    assert even_centres(3, 4, start, "fixed").tolist() == [[1, 5, 9], [3, 7, 11]]
    assert even_centres(3, 4, start, "reference").tolist() == [[1, 2, 3], [3, 4, 5]]


def test_weights_by_hand():
    mask = torch.zeros(1, 20)
    mask[:, :16] = 1  # deviation 2
    found = gaussian_alignment(torch.tensor([[5.0]]), mask)[0, :, 0]
    assert found[5].item() == 1.0
    assert found[7].item() == pytest.approx(math.exp(-0.5))
    assert found[1].item() == pytest.approx(math.exp(-2))


def test_centres_outside_take_the_nearest_end():
    found = gaussian_alignment(torch.tensor([[-6.0, 25.0]]), torch.ones(1, 16))[0]
    assert found.argmax(0).tolist() == [0, 15]
    assert found.amax(0).tolist() == pytest.approx([1.0, 1.0])


def test_more_frames_than_training_saw_do_not_widen():
    wide = gaussian_alignment(torch.tensor([[50.0]]), torch.ones(1, 100))
    capped = gaussian_alignment(torch.tensor([[50.0]]), torch.ones(1, 100), window=40)
    assert wide[0, 55, 0] > capped[0, 55, 0]
    assert capped[0, 55, 0].item() == pytest.approx(math.exp(-0.5))  # deviation 5
