import pytest
import torch

from ssdet.models.grid_pool import GridPool, sampling_grid
from ssdet.models.time_sampling import read_at


def test_uniform_confidence_samples_evenly():
    grid = sampling_grid(torch.full((1, 4), 3.0))
    assert grid.flatten().tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_high_confidence_means_small_steps():
    # confidence sigmoid(z / 2): 1/4 and 3/4, so steps of 3/4 and 1/4
    z = 2 * torch.log(torch.tensor([[1 / 3, 3.0]]))
    assert sampling_grid(z).flatten().tolist() == pytest.approx([0, 0.75, 1])


def test_full_confidence_everywhere_is_still_even():
    grid = sampling_grid(torch.full((1, 2), 60.0))  # doubt 1e-13
    assert grid.flatten().tolist() == pytest.approx([0, 0.5, 1], abs=2e-3)


def test_half_precision_confidence_is_worked_out_in_full():
    assert sampling_grid(torch.zeros(1, 3, dtype=torch.bfloat16)).dtype == torch.float32


@pytest.mark.parametrize(("frames", "count"), [(16, 5), (13, 5), (4, 2), (1, 2)])
def test_number_of_frames(frames, count):
    pool = GridPool(2).eval()
    x = torch.randn(1, 2, frames, 5, 6)
    sampled, grid, confidence = pool(x)
    assert sampled.shape == (1, 2, count, 5, 6)
    assert grid.shape == (1, count)
    assert confidence.shape == (1, count - 1)
    torch.testing.assert_close(sampled[:, :, 0], x[:, :, 0])
    torch.testing.assert_close(sampled[:, :, -1], x[:, :, -1])
    torch.testing.assert_close(sampled, read_at(x, grid * (frames - 1)))


def test_confidence_is_learned_through_the_positions():
    pool = GridPool(2)
    sampled, _, _ = pool(torch.randn(2, 2, 16, 6, 6))
    sampled.square().sum().backward()
    # a norm follows these biases, and a common change of all confidences hardly moves
    # the grid: their gradients are (nearly) nothing
    for name, parameter in pool.named_parameters():
        if name not in ("conv1.bias", "conv2.bias"):
            assert parameter.grad.abs().max() > 0, name
