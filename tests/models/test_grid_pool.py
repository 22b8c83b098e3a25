import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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


# ------------------------------------------------------------------------- invariants

CONFIDENCES = st.lists(st.floats(-200, 200), min_size=1, max_size=20)


@settings(deadline=None)
@given(z=CONFIDENCES, frames=st.integers(1, 500))
def test_positions_rise_from_the_first_frame_to_the_last(z, frames):
    grid = sampling_grid(torch.tensor([z]))[0]
    positions = (grid * (frames - 1)).tolist()
    assert len(positions) == len(z) + 1
    assert positions == sorted(positions)
    assert positions[0] == 0
    assert positions[-1] == pytest.approx(frames - 1, rel=1e-5)


@settings(deadline=None)
@given(z=CONFIDENCES, shift=st.floats(-5, 5))
def test_the_most_confident_step_is_the_shortest(z, shift):
    steps = sampling_grid(torch.tensor([z], dtype=torch.float64))[0].diff()
    highest, lowest = max(range(len(z)), key=z.__getitem__), z.index(min(z))
    assert steps[highest] <= steps.min() + 1e-12
    assert steps[lowest] >= steps.max() - 1e-12


@pytest.mark.parametrize("z", [60.0, 200.0, 1e4])
def test_saturated_confidence_still_reaches_the_end(z):
    """All doubts together are below what the smallest float32 holds."""
    logits = torch.full((1, 3), z, requires_grad=True)
    grid = sampling_grid(logits)
    assert grid.flatten().tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    grid[0, 1].backward()
    assert logits.grad.isfinite().all()


def test_gradients_of_the_grid():
    torch.manual_seed(0)
    z = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sampling_grid, z)


@pytest.mark.parametrize("frames", [5, 8, 13])
def test_gradients_of_the_whole_pool(frames):
    """To the frames and to every weight of the small network, in float64."""
    torch.manual_seed(1)
    pool = GridPool(2).double().eval()
    x = torch.randn(1, 2, frames, 5, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: pool(x)[:2], x)
    names = [name for name, _ in pool.named_parameters()]

    def with_weights(*weights):
        given = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(pool, given, x.detach())[:2]

    weights = [w.detach().clone().requires_grad_() for w in pool.parameters()]
    assert torch.autograd.gradcheck(with_weights, weights, fast_mode=True)


@settings(max_examples=25, deadline=None)
@given(frames=st.integers(1, 30))
def test_any_number_of_frames(frames):
    """Also those that are no multiple of 4."""
    torch.manual_seed(2)
    x = torch.randn(1, 2, frames, 4, 4)
    pooled, grid, logits = GridPool(2).eval()(x)
    bins = -(-frames // 4)
    assert logits.shape == (1, bins)
    assert pooled.shape == (1, 2, bins + 1, 4, 4)
    torch.testing.assert_close(pooled[:, :, 0], x[:, :, 0])
    torch.testing.assert_close(pooled[:, :, -1], x[:, :, -1], atol=1e-5, rtol=1e-5)
    assert grid.isfinite().all()


def test_autocast_changes_nothing_of_the_grid():
    torch.manual_seed(3)
    z, x = 4 * torch.randn(2, 9), torch.randn(2, 3, 33, 2, 2)
    exact = sampling_grid(z)
    frames = read_at(x, exact * 32)
    with torch.autocast("cpu", torch.bfloat16):
        grid = sampling_grid(z)
        assert torch.equal(grid, exact)
        assert torch.equal(read_at(x, grid * 32), frames)
