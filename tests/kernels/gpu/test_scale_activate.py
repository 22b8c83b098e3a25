import pytest
import torch

from ssdet.kernels.gpu import plain

pytest.importorskip("triton", reason="Triton is not installed")
ours = pytest.importorskip("ssdet.kernels.gpu.scale_activate")

CASES = [("silu", False), ("relu", False), ("relu", True), ("linear", True)]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few pixels and channels a program, so that there are several of them."""
    monkeypatch.setattr(ours, "PIXELS", 4)
    monkeypatch.setattr(ours, "CHANNELS", 2)
    monkeypatch.setattr(ours, "EACH", 2)


def draw(has_other, dtype, device):
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 3, 3, 2, 2), (2, 3), (2, 3), *[(2, 3, 3, 2, 2)] * has_other]
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64)
        .to(device, dtype)
        .requires_grad_()
        for shape in shapes
    ]


def apply(function, activation, given):
    x, scale, shift, *other = given
    return function(x, scale, shift, activation, *other)


@pytest.mark.parametrize(("activation", "has_other"), CASES)
def test_value_and_gradients_in_float64(activation, has_other, device):
    given = draw(has_other, torch.float64, device)
    out = apply(ours.scale_activate, activation, given)
    expected = apply(plain.scale_activate, activation, given)
    torch.testing.assert_close(out, expected)
    upper = torch.randn(expected.shape, dtype=torch.float64).to(device)
    torch.testing.assert_close(
        torch.autograd.grad(out, given, upper),
        torch.autograd.grad(expected, given, upper),
    )


def test_gradcheck(device):
    given = draw(False, torch.float64, device)
    assert torch.autograd.gradcheck(
        lambda *tensors: apply(ours.scale_activate, "silu", tensors),
        given,
        fast_mode=True,
    )


@pytest.mark.parametrize(("activation", "has_other"), [CASES[0], CASES[2]])
def test_bf16_is_within_its_rounding(activation, has_other, device, rounding):
    given = draw(has_other, torch.bfloat16, device)
    exact = [tensor.detach().float().requires_grad_() for tensor in given]
    out = apply(ours.scale_activate, activation, given)
    expected = apply(plain.scale_activate, activation, exact)
    torch.testing.assert_close(out.float(), expected, **rounding)
    upper = torch.randn(expected.shape).to(device, torch.bfloat16)
    found = torch.autograd.grad(out, given, upper)
    exact_gradients = torch.autograd.grad(expected, exact, upper.float())
    for half, full in zip(found, exact_gradients, strict=True):
        torch.testing.assert_close(half.float(), full, **rounding)


def test_silu_adds_nothing():
    x = torch.zeros(1, 1, 1, 1, 1)
    with pytest.raises(ValueError, match="silu takes no other map"):
        ours.scale_activate(x, torch.ones(1, 1), torch.ones(1, 1), "silu", x)
