import pytest
import torch
from torch.nn import functional as F

from ssdet.kernels.norm import apply, moments, norm_silu
from ssdet.models.squeeze_excite import SqueezeExcite
from ssdet.models.sub_batch_norm import SubBatchNorm3d
from tests.kernels.compiler import needs_compiler

pytestmark = needs_compiler
LAST = torch.channels_last_3d


def maps(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return x.to(dtype).to(memory_format=LAST).requires_grad_()


def norm_of(channels, splits):
    norm = SubBatchNorm3d(channels, splits).double()
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 1.5, channels))
        norm.bias.copy_(torch.linspace(-1, 1, channels))
    return norm


def plainly(norm, x):
    """Batch normalisation of clips dealt into groups, from its definition."""
    out = torch.empty_like(x)
    for group in range(norm.splits):
        part = x[group :: norm.splits]
        mean = part.mean((0, 2, 3, 4), keepdim=True)
        variance = part.var((0, 2, 3, 4), correction=0, keepdim=True)
        out[group :: norm.splits] = (part - mean) / (variance + 1e-5).sqrt()
    return out * norm.weight.view(-1, 1, 1, 1) + norm.bias.view(-1, 1, 1, 1)


def same_gradients(first, second, inputs):
    weights = torch.linspace(-1, 1, first.numel(), dtype=first.dtype)
    found = [
        torch.autograd.grad((out * weights.view_as(out)).sum(), inputs)
        for out in (first, second)
    ]
    torch.testing.assert_close(first, second)
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two)


def test_moments_survive_a_large_mean():
    x = maps(2, 5, 3, 20, 20, dtype=torch.float32).detach() + 1000
    mean, square = moments(x)
    exact = x.double()
    torch.testing.assert_close(mean, exact.mean((2, 3, 4)), rtol=1e-6, atol=0)
    expected = (exact - exact.mean((2, 3, 4), keepdim=True)).square().sum((2, 3, 4))
    torch.testing.assert_close(square, expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize("channels", [1, 8, 19, 40])  # below, at and past whole vectors
@pytest.mark.parametrize("splits", [1, 2])
def test_norm_relu_and_shortcut(channels, splits):
    x, other = maps(4, channels, 2, 3, 7), maps(4, channels, 2, 3, 7, seed=1)
    norm = norm_of(channels, splits)
    parameters = (x, norm.weight, norm.bias)
    same_gradients(norm(x), plainly(norm, x), parameters)
    same_gradients(norm.relu(x), F.relu(plainly(norm, x)), parameters)
    expected = F.relu(plainly(norm, x) + other)
    same_gradients(norm.relu(x, other), expected, (*parameters, other))


@pytest.mark.parametrize("splits", [0, 1, 2])  # 0: by the running statistics
@pytest.mark.parametrize("gated", [False, True])
def test_norm_gate_silu(splits, gated):
    x, norm = maps(4, 19, 2, 3, 3), norm_of(19, splits or 1)
    norm.train(splits > 0)
    gate = SqueezeExcite(19).double()
    layers = gate.layers if gated else None
    z = (
        plainly(norm, x)
        if splits
        else F.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias
        )
    )
    expected = F.silu(z * gate(z) if gated else z)
    statistics = norm.statistics(x, of_clips=True)
    out = norm_silu(x, norm.weight, norm.bias, layers, statistics)
    parameters = (x, norm.weight, norm.bias, *(gate.layers if gated else ()))
    same_gradients(out, expected, parameters)


def test_running_statistics_are_those_of_batch_norm():
    norm, theirs = SubBatchNorm3d(3), torch.nn.BatchNorm3d(3)
    for seed in range(3):
        x = maps(2, 3, 2, 4, 4, seed=seed, dtype=torch.float32)
        norm(x)
        theirs(x)
    torch.testing.assert_close(norm.running_mean, theirs.running_mean)
    torch.testing.assert_close(norm.running_var, theirs.running_var)


def test_frozen_norm_passes_gradients_on():
    x, norm = maps(2, 4, 2, 3, 3), norm_of(4, 1)
    norm.frozen = True
    scale = norm.weight / (1 + 1e-5) ** 0.5
    expected = x * scale.view(-1, 1, 1, 1) + norm.bias.view(-1, 1, 1, 1)
    same_gradients(norm(x), expected, (x, norm.weight, norm.bias))


@pytest.mark.parametrize(
    ("dtype", "rtol"), [(torch.float32, 2e-6), (torch.float64, 1e-13)]
)
def test_silu_to_the_last_digits(dtype, rtol):
    x = torch.linspace(-100, 100, 4001, dtype=dtype).view(1, 1, 1, 1, -1)
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    found = apply(x, one, zero, "silu")
    expected = F.silu(x.double())
    torch.testing.assert_close(found.double(), expected, rtol=rtol, atol=1e-15)
    assert apply(x * float("nan"), one, zero, "silu").isnan().all()
