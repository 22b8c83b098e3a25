import pytest
import torch
from torch.nn import functional as F

from ssdet.kernels.compiled import library
from ssdet.kernels.gpu.switch import SWITCH
from ssdet.kernels.norm import apply, moments, norm_silu
from ssdet.models.squeeze_excite import SqueezeExcite
from ssdet.models.sub_batch_norm import SubBatchNorm3d
from tests.kernels.compiler import needs_compiler

LAST = torch.channels_last_3d


@pytest.fixture(params=["compiled", "triton"])
def device(request, monkeypatch):
    """Where the tensors are: the kernels of CPUs compute, then those of GPUs."""
    if request.param == "compiled":
        if library() is None:
            pytest.skip("there is no C++ compiler to build the kernels with")
        monkeypatch.setenv(SWITCH, "off")
        return "cpu"
    pytest.importorskip("triton", reason="Triton is not installed")
    monkeypatch.setenv(SWITCH, "on")
    return "cuda" if torch.cuda.is_available() else "cpu"


def maps(device, *shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return x.to(device, dtype).to(memory_format=LAST).requires_grad_()


def norm_of(device, channels, splits):
    norm = SubBatchNorm3d(channels, splits).double()
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 1.5, channels))
        norm.bias.copy_(torch.linspace(-1, 1, channels))
    return norm.to(device)


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
    weights = torch.linspace(-1, 1, first.numel(), dtype=first.dtype).to(first.device)
    found = [
        torch.autograd.grad((out * weights.view_as(out)).sum(), inputs)
        for out in (first, second)
    ]
    torch.testing.assert_close(first, second)
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two)


def test_moments_survive_a_large_mean(device):
    x = maps(device, 2, 5, 3, 20, 20, dtype=torch.float32).detach() + 1000
    mean, square = (found.double() for found in moments(x))
    exact = x.double()
    torch.testing.assert_close(mean, exact.mean((2, 3, 4)), rtol=1e-6, atol=0)
    expected = (exact - exact.mean((2, 3, 4), keepdim=True)).square().sum((2, 3, 4))
    torch.testing.assert_close(square, expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize("channels", [1, 8, 19, 40])  # below, at and past whole vectors
@pytest.mark.parametrize("splits", [1, 2])
def test_norm_relu_and_shortcut(device, channels, splits):
    x = maps(device, 4, channels, 2, 3, 7)
    other = maps(device, 4, channels, 2, 3, 7, seed=1)
    norm = norm_of(device, channels, splits)
    parameters = (x, norm.weight, norm.bias)
    same_gradients(norm(x), plainly(norm, x), parameters)
    same_gradients(norm.relu(x), F.relu(plainly(norm, x)), parameters)
    expected = F.relu(plainly(norm, x) + other)
    same_gradients(norm.relu(x, other), expected, (*parameters, other))


@pytest.mark.parametrize("splits", [0, 1, 2])  # 0: by the running statistics
@pytest.mark.parametrize("gated", [False, True])
def test_norm_gate_silu(device, splits, gated):
    x, norm = maps(device, 4, 19, 2, 3, 3), norm_of(device, 19, splits or 1)
    norm.train(splits > 0)
    gate = SqueezeExcite(19).double().to(device)
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


def test_gradcheck(device):
    x, norm = maps(device, 2, 3, 1, 2, 2), norm_of(device, 3, 1)
    layers = SqueezeExcite(3).double().to(device).layers

    def function(x, weight, bias, *layers):
        return norm_silu(x, weight, bias, layers, norm.statistics(x))

    given = (x, norm.weight, norm.bias, *layers)
    assert torch.autograd.gradcheck(function, given, fast_mode=True)


def test_running_statistics_are_those_of_batch_norm(device):
    norm, theirs = SubBatchNorm3d(3).to(device), torch.nn.BatchNorm3d(3).to(device)
    for seed in range(3):
        x = maps(device, 2, 3, 2, 4, 4, seed=seed, dtype=torch.float32)
        norm(x)
        theirs(x)
    torch.testing.assert_close(norm.running_mean, theirs.running_mean)
    torch.testing.assert_close(norm.running_var, theirs.running_var)


def test_a_part_of_a_batch_teaches_its_own_groups(device):
    """Groups 1 and 3 of four: their running statistics lie apart in memory."""
    norm, x = norm_of(device, 3, 4), maps(device, 4, 3, 2, 3, 3)
    norm.part, norm.parts = 1, 2
    norm(x)
    means = norm.split_mean.view(4, 3)
    assert means[0].eq(0).all()
    assert means[2].eq(0).all()
    for group, clips in ((1, x[0::2]), (3, x[1::2])):
        torch.testing.assert_close(means[group], 0.1 * clips.mean((0, 2, 3, 4)))


def test_frozen_norm_passes_gradients_on(device):
    x, norm = maps(device, 2, 4, 2, 3, 3), norm_of(device, 4, 1)
    norm.frozen = True
    scale = norm.weight / (1 + 1e-5) ** 0.5
    expected = x * scale.view(-1, 1, 1, 1) + norm.bias.view(-1, 1, 1, 1)
    same_gradients(norm(x), expected, (x, norm.weight, norm.bias))


def test_evaluation_rectifies_in_place(device):
    x, norm = maps(device, 2, 4, 2, 3, 3).detach(), norm_of(device, 4, 1).eval()
    with torch.no_grad():
        expected = F.relu(
            F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        found = norm.relu(x)
    torch.testing.assert_close(found, expected)
    assert found.data_ptr() == x.data_ptr()


@needs_compiler
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
