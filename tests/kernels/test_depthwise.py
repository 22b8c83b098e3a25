import pytest
import torch
from torch.nn import functional as F

from ssdet.kernels.depthwise import depthwise_conv3d


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(4, 6, 6), (1, 5, 7), (3, 1, 2)])
def test_value_and_gradients_are_those_of_conv3d(stride, size):
    generator = torch.Generator().manual_seed(stride)
    ours = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64)
    kernel = torch.randn(3, 1, 3, 3, 3, generator=generator, dtype=torch.float64)
    theirs, their_kernel = ours.clone(), kernel.clone()
    for tensor in (ours, kernel, theirs, their_kernel):
        tensor.requires_grad_()

    out = depthwise_conv3d(ours, kernel, stride)
    expected = F.conv3d(theirs, their_kernel, None, (1, stride, stride), 1, 1, 3)
    weights = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    (out * weights).sum().backward()
    (expected * weights).sum().backward()

    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(kernel.grad, their_kernel.grad)


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
