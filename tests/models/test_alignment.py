import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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


@settings(deadline=None)
@given(
    frames=st.integers(1, 30),
    rows=st.integers(1, 20),
    valid=st.integers(0, 20),
    start=st.floats(-300, 300),
    compat=st.sampled_from(["fixed", "reference"]),
)
def test_weights_are_finite(frames, rows, valid, start, compat):
    """One fine frame, none, or a clip far from all: no weight is not a number."""
    bins = -(-frames // 4)
    grid = torch.linspace(0, 1, bins + 1)[None]
    mask = (torch.arange(rows) < valid).float()[None]
    centres = grid_centres(grid, frames, torch.tensor([start]), compat)
    found = gaussian_alignment(centres, mask)
    assert found.shape == (1, rows, bins + 1)
    assert found.isfinite().all()
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("frames", [1, 4, 13])
def test_a_single_fine_frame(frames):
    """Its own time takes it all."""
    grid = torch.linspace(0, 1, -(-frames // 4) + 1)[None]
    centres = grid_centres(grid, frames, torch.zeros(1), "fixed")
    found = gaussian_alignment(centres, torch.ones(1, 1))
    assert found.isfinite().all()
    assert found[0, 0, 0] == 1


def test_gradients():
    torch.manual_seed(0)
    grid = torch.rand(2, 4, dtype=torch.float64).sort(1).values.requires_grad_()
    mask = (torch.arange(9) < torch.tensor([[9], [5]])).double()
    start = torch.tensor([0.3, -1.2], dtype=torch.float64)

    def weights(grid):
        return gaussian_alignment(grid_centres(grid, 8, start, "fixed"), mask)

    assert torch.autograd.gradcheck(weights, grid)


def test_autocast_changes_nothing():
    torch.manual_seed(1)
    grid, start = torch.rand(2, 17).sort(1).values, torch.tensor([3.3, -2.0])
    mask = (torch.arange(128) < torch.tensor([[128], [40]])).float()
    exact = gaussian_alignment(grid_centres(grid, 64, start, "fixed"), mask)
    with torch.autocast("cpu", torch.bfloat16):
        centres = grid_centres(grid, 64, start, "fixed")
        assert torch.equal(gaussian_alignment(centres, mask), exact)
