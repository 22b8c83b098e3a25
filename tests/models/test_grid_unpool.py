import pytest
import torch

from ssdet.models.grid_pool import sampling_grid
from ssdet.models.grid_unpool import grid_unpool, inverse_grid
from ssdet.models.time_sampling import read_at

ANY = torch.tensor([[0.3, -2.0, 4.0, 1.0], [0.0, 9.0, -9.0, 0.5]])


def test_inverse_by_hand():
    grid = torch.tensor([[0.0, 0.8, 1.0]])
    times = torch.tensor([0.0, 0.4, 0.8, 0.9, 1.0])
    found = inverse_grid(grid, times).flatten().tolist()
    assert found == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0], abs=1e-6)


def test_inverse_undoes_the_grid():
    grid = sampling_grid(ANY)
    times = torch.linspace(0, 1, 7)
    back = read_at(grid[:, None], inverse_grid(grid, times) * 4)[:, 0]
    torch.testing.assert_close(back, times.expand(2, -1), atol=1e-5, rtol=0)


def test_even_grid_changes_nothing():
    logits = torch.tensor([[[1.0, 5.0, 2.0]]])
    grid = torch.tensor([[0.0, 0.5, 1.0]])
    even = torch.nn.functional.interpolate(
        logits, size=8, mode="linear", align_corners=True
    )
    for how in ("resize", "direct"):
        torch.testing.assert_close(
            grid_unpool(logits, grid, how), even, atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("how", ["resize", "direct"])
def test_pooled_ramp_comes_back(how):
    ramp = torch.arange(16.0).expand(2, 1, -1)
    grid = sampling_grid(ANY)
    out = grid_unpool(read_at(ramp, grid * 15), grid, how)
    torch.testing.assert_close(out, ramp, atol=1e-4, rtol=0)


def test_direct_keeps_what_lies_between_even_samples():
    # a spike at the third of four samples, which sits right after the second
    logits = torch.tensor([[[0.0, 0.0, 9.0, 0.0]]])
    grid = torch.tensor([[0.0, 0.45, 0.46, 1.0]])
    resized = grid_unpool(logits, grid, "resize")
    direct = grid_unpool(logits, grid, "direct")
    assert resized.shape == direct.shape == (1, 1, 12)
    # direct reads at 6 / 11 of the clip; resize at 2 / 3 first, then 10 / 11 of that
    assert direct.max().item() == pytest.approx(9 * (1 - (6 / 11 - 0.46) / 0.54))
    expected = 10 / 11 * 9 * (1 - (2 / 3 - 0.46) / 0.54)
    assert resized.max().item() == pytest.approx(expected)


def test_gradients_reach_logits_and_grid():
    logits = torch.randn(1, 2, 5, requires_grad=True)
    confidence = ANY[:1].clone().requires_grad_()
    grid_unpool(logits, sampling_grid(confidence), "resize").square().sum().backward()
    assert logits.grad.abs().min() > 0
    assert confidence.grad.abs().min() > 0
