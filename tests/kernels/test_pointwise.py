import pytest
import torch
from torch.nn import functional as F

from ssdet.kernels.compiled import SWITCH
from ssdet.kernels.depthwise import depthwise_conv3d
from ssdet.kernels.pointwise import PointwiseConv3d, widen
from tests.kernels.compiler import needs_compiler


def video(*shape):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0)).double()
    return x.to(memory_format=torch.channels_last_3d)


def vectors(channels):
    return torch.linspace(0.5, 1.5, channels), torch.linspace(-1, 1, channels)


@pytest.mark.parametrize("switch", ["on", "off"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("channels", "out"), [(3, 7), (24, 54), (54, 24), (9, 130)])
def test_equals_conv3d(monkeypatch, switch, stride, channels, out):
    monkeypatch.setenv(SWITCH, switch)
    x = video(2, channels, 3, 5, 8).requires_grad_()
    conv = PointwiseConv3d(channels, out, stride).double()
    found = conv(x)
    expected = F.conv3d(x, conv.weight, None, (1, stride, stride))
    torch.testing.assert_close(found, expected)
    weights = torch.linspace(-1, 1, found.numel()).double().view(found.shape)
    for one, two in zip(
        torch.autograd.grad((found * weights).sum(), (x, conv.weight)),
        torch.autograd.grad((expected * weights).sum(), (x, conv.weight)),
        strict=True,
    ):
        torch.testing.assert_close(one, two)


@needs_compiler
@pytest.mark.parametrize("stride", [1, 2])
def test_norm_shortcut_and_relu_in_one(stride):
    x, conv = video(2, 24, 3, 7, 9), PointwiseConv3d(24, 54, stride).double()
    scale, shift = (each.double() for each in vectors(54))
    out = F.conv3d(x, conv.weight, None, (1, stride, stride))
    other = video(*out.shape)
    expected = out * scale.view(-1, 1, 1, 1) + shift.view(-1, 1, 1, 1)
    with torch.no_grad():
        found = conv.with_norm(x, scale, shift, "none")
        joined = conv.with_norm(x, scale, shift, "relu", other)
    torch.testing.assert_close(found, expected.detach())
    torch.testing.assert_close(joined, F.relu(expected + other).detach())


@needs_compiler
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("threads", [1, 5])  # of few pieces in time, and of several
@pytest.mark.parametrize(
    "size", [(1, 1, 1), (20, 9, 8), (3, 150, 150)]
)  # one band, many
def test_widen_is_both_convolutions(stride, threads, size):
    x, expand = video(1, 6, *size), PointwiseConv3d(6, 37).double()
    weight = video(37, 1, 3, 3, 3)
    norm = tuple(each.double() for each in vectors(37))
    scale, shift = (each.view(-1, 1, 1, 1) for each in norm)
    with torch.no_grad():
        inner = F.relu(F.conv3d(x, expand.weight) * scale + shift)
        expected = F.conv3d(inner, weight, None, (1, stride, stride), 1, 1, 37)
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        found, _ = widen(x, expand, norm, weight, stride, None)
        gone_on, _ = widen(x, expand, norm, weight, stride, norm)
        torch.set_num_threads(before)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(depthwise_conv3d(inner, weight, stride), expected)
        torch.testing.assert_close(gone_on, F.silu(expected * scale + shift))


@needs_compiler
def test_an_odd_channel_has_no_partner_in_bf16():
    x = torch.zeros(1, 3, 1, 1, 1)
    conv = PointwiseConv3d(3, 8)
    assert conv.takes_norm(x)
    assert not conv.takes_norm(x.bfloat16())
