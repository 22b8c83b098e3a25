"""Triton's kernels against their twins in plain PyTorch.

Float64 shows that both compute the same. In bf16 the twin is given the same rounded
values in float32: ours may differ by the rounding of the result (`rounding`).
"""

import pytest
import torch

from ssdet.kernels import depthwise as dispatch
from ssdet.kernels.gpu import plain
from ssdet.kernels.gpu.switch import SWITCH
from tests.kernels.gpu.small import small_convolutions

pytest.importorskip("triton", reason="Triton is not installed")
ours = pytest.importorskip("ssdet.kernels.gpu.depthwise")

# stride, kernel, (T, H, W): odd sides, one frame, one pixel, several chunks of frames
CASES = [
    (1, (3, 3, 3), (3, 3, 5)),
    (1, (3, 3, 3), (1, 2, 1)),
    (2, (3, 3, 3), (3, 3, 9)),
    (2, (3, 3, 3), (1, 1, 2)),
    (1, (5, 1, 1), (4, 2, 3)),
    (1, (5, 1, 1), (1, 1, 1)),
]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    small_convolutions(monkeypatch)


def draw(kernel, size, dtype, device, batch=1, channels=5):
    generator = torch.Generator().manual_seed(size[0])
    shapes = (batch, channels, *size), (channels, 1, *kernel)
    return tuple(
        torch.randn(shape, generator=generator, dtype=torch.float64)
        .to(device, dtype)
        .requires_grad_()
        for shape in shapes
    )


@pytest.mark.parametrize(("stride", "kernel", "size"), CASES)
def test_value_moments_and_gradients_in_float64(stride, kernel, size, device):
    video, weight = draw(kernel, size, torch.float64, device)
    out, mean, square = ours.depthwise_moments(video, weight, stride)
    expected, *moments = plain.depthwise_moments(video, weight, stride)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close([mean, square], moments)
    assert out.is_contiguous(memory_format=torch.channels_last_3d)

    upper = torch.randn(expected.shape, dtype=torch.float64).to(device)
    found = torch.autograd.grad((out * upper).sum(), (video, weight))
    exact = torch.autograd.grad((expected * upper).sum(), (video, weight))
    torch.testing.assert_close(found, exact)


@pytest.mark.parametrize(("stride", "kernel", "size"), CASES[1::2])
def test_gradcheck(stride, kernel, size, device):
    given = draw(kernel, size, torch.float64, device, batch=1, channels=2)
    assert torch.autograd.gradcheck(
        lambda x, weight: ours.depthwise(x, weight, stride), given, fast_mode=True
    )


@pytest.mark.parametrize(("stride", "kernel", "size"), CASES[::2])
def test_bf16_is_within_its_rounding(stride, kernel, size, device, rounding):
    video, weight = draw(kernel, size, torch.bfloat16, device)
    exact = [given.detach().float().requires_grad_() for given in (video, weight)]
    expected = plain.depthwise(*exact, stride)
    out = ours.depthwise(video, weight, stride)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), expected, **rounding)

    upper = torch.randn(expected.shape).to(device, torch.bfloat16)
    found = torch.autograd.grad(out, (video, weight), upper)
    exact_gradients = torch.autograd.grad(expected, exact, upper.float())
    for half, full in zip(found, exact_gradients, strict=True):
        torch.testing.assert_close(half.float(), full, **rounding)


@pytest.mark.parametrize("epilogue", ["relu", "silu"])
def test_scale_shift_and_activation_in_the_same_pass(epilogue, device):
    video, weight = draw((3, 3, 3), (1, 2, 3), torch.float32, device)
    scale = torch.tensor([0.5, -2.0, 1.0, 0.0, 3.0], device=device)
    shift = torch.tensor([0.0, 1.0, -1.0, 2.0, 0.5], device=device)
    with torch.no_grad():
        found = ours.depthwise_scaled(video, weight, 1, scale, shift, epilogue)
        expected = plain.depthwise_scaled(video, weight, 1, scale, shift, epilogue)
    torch.testing.assert_close(found, expected)


def test_a_mean_far_from_zero_costs_no_digits_of_the_moments(device):
    """Sums of squares in float32 would lose all of 1 beside 4096 squared."""
    video = torch.full((1, 1, 4, 2, 2), 4096.0, device=device)
    video += torch.tensor([1.0, -1.0], device=device)
    weight = torch.zeros(1, 1, 3, 3, 3, device=device)
    weight[0, 0, 1, 1, 1] = 1
    _, mean, square = ours.depthwise_moments(video, weight, 1)
    assert mean.item() == 4096
    assert square.item() == 16


def test_the_weights_gradient_has_the_same_bits_every_time(device):
    video, weight = draw((3, 3, 3), (3, 2, 5), torch.float32, device)
    found = [
        torch.autograd.grad(ours.depthwise(video, weight, 1).square().sum(), weight)[0]
        for _ in range(2)
    ]
    assert torch.equal(*found)


def test_the_switch_chooses_them(monkeypatch, device):
    called = []
    real = ours.depthwise
    monkeypatch.setattr(
        ours, "depthwise", lambda *args: called.append(1) or real(*args)
    )
    video, weight = draw((3, 3, 3), (1, 2, 3), torch.float32, device)
    plain_value = dispatch.depthwise_conv3d(video, weight, 1)
    assert not called
    monkeypatch.setenv(SWITCH, "on")
    torch.testing.assert_close(dispatch.depthwise_conv3d(video, weight, 1), plain_value)
    assert called


def test_autocast_is_followed_and_the_gradient_of_the_weight_not_rounded(
    monkeypatch, device
):
    monkeypatch.setenv(SWITCH, "on")
    video, weight = draw((3, 3, 3), (1, 2, 3), torch.float32, device)
    with torch.autocast(device, torch.bfloat16):
        out = dispatch.depthwise_conv3d(video, weight, 1)
    assert out.dtype == torch.bfloat16
    to_video, to_weight = torch.autograd.grad(out.float().sum(), (video, weight))
    assert to_video.dtype == to_weight.dtype == torch.float32
    rounded = video.detach().bfloat16().double()
    assert to_weight[0, 0, 1, 1, 1].item() == pytest.approx(rounded[:, 0].sum().item())
