from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet.models.grid_pool import sampling_grid
from ssdet.models.grid_unpool import EPS, grid_unpool, inverse_grid
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


# ------------------------------------------------------------------------- invariants

CONFIDENCES = st.lists(st.floats(-30, 30), min_size=1, max_size=16)
VALUES = st.floats(-100, 100)


def even(signal_of, bins):
    """A signal at the times of the output."""
    return signal_of(torch.linspace(0, 1, 4 * bins, dtype=torch.float64))


@pytest.mark.parametrize("how", ["resize", "direct"])
@settings(deadline=None)
@given(z=CONFIDENCES, first=VALUES, last=VALUES, frames=st.integers(1, 64))
def test_a_signal_linear_in_time_comes_back(how, z, first, last, frames):
    """From either, for any confidence, within EPS of its range."""
    grid = sampling_grid(torch.tensor([z], dtype=torch.float64))

    def signal(share):
        return first + (last - first) * share if frames > 1 else first + 0 * share

    clip = signal(torch.linspace(0, 1, frames, dtype=torch.float64))
    pooled = read_at(clip[None, None], grid * (frames - 1))
    out = grid_unpool(pooled, grid, how)[0, 0]
    bound = EPS * abs(last - first) + 1e-11
    assert (out - even(signal, len(z))).abs().max() <= bound


@settings(deadline=None)
@given(z=CONFIDENCES, data=st.data())
def test_what_resize_loses(z, data):
    """At most half of what the steepest change makes of an even step."""
    bins = len(z)
    values = data.draw(st.lists(VALUES, min_size=bins + 1, max_size=bins + 1))
    grid = sampling_grid(torch.tensor([z], dtype=torch.float64))
    logits = torch.tensor([[values]], dtype=torch.float64)
    resized, direct = (grid_unpool(logits, grid, how) for how in ("resize", "direct"))
    steepest = (logits[0, 0].diff() / (grid[0].diff() + EPS)).abs().max()
    assert (resized - direct).abs().max() <= steepest / (2 * bins) + 1e-4


def test_what_resize_loses_by_hand():
    """A sudden change within an even step becomes a ramp over that step."""
    grid = torch.tensor([[0.0, 0.45, 0.55, 1.0]], dtype=torch.float64)
    x = torch.tensor([[[0.0, 0.0, 9.0, 9.0]]], dtype=torch.float64)
    steepest = 9 / 0.1
    resized, direct = (grid_unpool(x, grid, how) for how in ("resize", "direct"))
    gap = (resized - direct).abs().max().item()
    # times n / 11; direct is 0 to 0.45 and 9 from 0.55, resize a ramp from 1/3 to 2/3
    assert gap == pytest.approx(9 * (5 / 11 - 1 / 3) * 3 - 9 * (5 / 11 - 0.45) / 0.1)
    assert gap < steepest / 6


@pytest.mark.parametrize("how", ["resize", "direct"])
def test_gradients(how):
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    z = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda logits, z: grid_unpool(logits, sampling_grid(z), how), (logits, z)
    )


@settings(deadline=None)
@given(z=CONFIDENCES, times=st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_the_inverse_rises_and_stays_inside(z, times):
    grid = sampling_grid(torch.tensor([z]))
    found = inverse_grid(grid, torch.tensor(sorted(times)))[0].tolist()
    assert all(-1e-6 <= share <= 1 + 1e-6 for share in found)
    # a step much shorter than EPS is crossed in less than its share of the way
    assert all(b >= a - 1e-6 for a, b in pairwise(found))


def test_autocast_changes_nothing():
    torch.manual_seed(1)
    logits, z = torch.randn(2, 3, 9), 4 * torch.randn(2, 8)
    for how in ("resize", "direct"):
        exact = grid_unpool(logits, sampling_grid(z), how)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(grid_unpool(logits, sampling_grid(z), how), exact)
