import pytest
import torch
from torch.nn import functional as F

from ssdet.kernels.compiled import SWITCH
from ssdet.kernels.depthwise import depthwise_conv3d
from tests.kernels.compiler import needs_compiler


@pytest.fixture(params=["on", "off"])
def compiled(request, monkeypatch):
    """Both with the compiled kernels, if they can be built, and without."""
    monkeypatch.setenv(SWITCH, request.param)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [3, 21])
@pytest.mark.parametrize("size", [(4, 6, 6), (1, 5, 7), (3, 1, 2), (2, 11, 4)])
def test_value_and_gradients_are_those_of_conv3d(stride, channels, size):
    generator = torch.Generator().manual_seed(stride)
    ours = torch.randn(2, channels, *size, generator=generator, dtype=torch.float64)
    kernel = torch.randn(channels, 1, 3, 3, 3, generator=generator, dtype=torch.float64)
    theirs, their_kernel = ours.clone(), kernel.clone()
    for tensor in (ours, kernel, theirs, their_kernel):
        tensor.requires_grad_()

    out = depthwise_conv3d(ours, kernel, stride)
    expected = F.conv3d(theirs, their_kernel, None, (1, stride, stride), 1, 1, channels)
    weights = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    (out * weights).sum().backward()
    (expected * weights).sum().backward()

    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(kernel.grad, their_kernel.grad)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_five_frames_in_time(frames):
    generator = torch.Generator().manual_seed(frames)
    video = torch.randn(2, 11, frames, 3, 23, generator=generator, dtype=torch.float64)
    kernel = torch.randn(11, 1, 5, 1, 1, generator=generator, dtype=torch.float64)
    video.requires_grad_()
    kernel.requires_grad_()
    out = depthwise_conv3d(video, kernel, 1)
    expected = F.conv3d(video, kernel, None, 1, (2, 0, 0), 1, 11)
    weights = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(out, expected)
    for found, exact in zip(
        torch.autograd.grad((out * weights).sum(), (video, kernel)),
        torch.autograd.grad((expected * weights).sum(), (video, kernel)),
        strict=True,
    ):
        torch.testing.assert_close(found, exact)


@needs_compiler
@pytest.mark.parametrize("stride", [1, 2])
def test_gradcheck(stride):
    video = torch.randn(1, 2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(2, 1, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, weight: depthwise_conv3d(x, weight, stride), (video, kernel)
    )


@needs_compiler
@pytest.mark.parametrize("stride", [1, 2])
def test_threads_do_not_change_a_bit(stride):
    video = torch.randn(2, 19, 5, 21, 20, requires_grad=True)
    kernel = torch.randn(19, 1, 3, 3, 3, requires_grad=True)
    found = []
    before = torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        out = depthwise_conv3d(video, kernel, stride)
        found.append((out, *torch.autograd.grad(out.square().sum(), (video, kernel))))
    torch.set_num_threads(before)
    for one, three in zip(*found, strict=True):
        assert torch.equal(one, three)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("stride", [1, 2])
def test_under_autocast_gradients_stay_near(stride):
    """bf16 keeps 8 bits, sums over 27 and 96 products the rest."""
    video = torch.randn(2, 3, 2, 4, 4, requires_grad=True)
    kernel = torch.randn(3, 1, 3, 3, 3, requires_grad=True)
    exact = torch.autograd.grad(
        depthwise_conv3d(video, kernel, stride).sum(), (video, kernel)
    )
    with torch.autocast("cpu", torch.bfloat16):
        out = depthwise_conv3d(video, kernel, stride)
    assert out.dtype == torch.bfloat16
    found = torch.autograd.grad(out.float().sum(), (video, kernel))
    for half, full in zip(found, exact, strict=True):
        assert half.dtype == torch.float32
        torch.testing.assert_close(half, full, atol=0.1, rtol=0.02)


def test_gradient_of_the_kernel_alone():
    video = torch.randn(1, 2, 3, 4, 4, dtype=torch.float64)
    kernel = torch.randn(2, 1, 3, 3, 3, dtype=torch.float64)
    kernel.requires_grad_()
    depthwise_conv3d(video, kernel, 1).sum().backward()
    assert kernel.grad[0, 0, 1, 1, 1].item() == pytest.approx(video[0, 0].sum().item())


def test_bad_kernel_and_stride_are_named():
    video = torch.zeros(1, 2, 3, 4, 4)
    with pytest.raises(ValueError, match=r"for 2 channels has shape \(2, 1, 3, 3, 3\)"):
        depthwise_conv3d(video, torch.zeros(3, 1, 3, 3, 3), 1)
    with pytest.raises(ValueError, match="stride must be 1 or 2, got 3"):
        depthwise_conv3d(video, torch.zeros(2, 1, 3, 3, 3), 3)
    with pytest.raises(ValueError, match="kernel in time alone has stride 1, got 2"):
        depthwise_conv3d(video, torch.zeros(2, 1, 5, 1, 1), 2)
