import pytest
import torch
from torch.nn import functional as F

from ssdet.models import count_parameters
from ssdet.models.temporal_gaussian_mixture import TemporalGaussianMixture
from tests.models import heads


def layer(inputs, outputs, length=5, gaussians=4):
    torch.manual_seed(0)
    return TemporalGaussianMixture(
        inputs, outputs, gaussians=gaussians, length=length
    ).double()


@pytest.mark.parametrize("length", [1, 4, 5, 30])
def test_kernels_smooth(length):
    kernels = layer(2, 3, length).kernels()
    assert kernels.shape == (6, length)
    assert (kernels >= 0).all()
    assert kernels.sum(1).tolist() == pytest.approx([1] * 6, abs=2e-5)


@pytest.mark.parametrize("length", [1, 4, 5, 9])
def test_it_is_filtering_then_mixing(length):
    """As the text has it: each input filtered on its own, then a map and a ReLU."""
    model, x = layer(2, 3, length), torch.randn(2, 2, 4, 7).double()
    before = (length - 1) // 2
    padded = F.pad(x, (before, length - 1 - before))
    kernels = model.kernels().view(3, 2, length)
    windows = padded.unfold(3, length, 1)  # (B, I, D, T, L)
    filtered = torch.einsum("oil,bidtl->boidt", kernels, windows)
    mixed = torch.einsum("oi,boidt->bodt", model.mix.weight, filtered)
    expected = F.relu(mixed + model.mix.bias[:, None, None])
    torch.testing.assert_close(model(x), expected)


def test_a_single_channel_is_filtered_and_no_more():
    model = layer(1, 2)
    x = torch.full((1, 3, 9), -1.0).double()
    y = model(x)
    assert y.shape == (1, 2, 3, 9)
    torch.testing.assert_close(
        y[..., 2:-2], -torch.ones(1, 2, 3, 5).double(), atol=1e-5, rtol=0
    )
    assert (y[..., 0] > -0.9).all()  # beyond the ends there is nothing
    assert (y < 0).all()


def test_three_axes_are_one_channel_for_every_input():
    model, x = layer(2, 2), torch.randn(1, 3, 6).double()
    torch.testing.assert_close(model(x), model(torch.stack([x, x], 1)))


def test_size_of_three_layers():
    with torch.device("meta"):
        assert count_parameters(heads.tgm(1024, 157).layers) == 2464


def test_negative_features_and_negative_terms_are_cut():
    """The classifier sees no difference between -1 and -2 (its own input is >= 0)."""
    torch.manual_seed(0)
    model = heads.tgm_se(2, 2).eval()
    mask = torch.ones(1, 3)
    with torch.no_grad():
        for part in model.layers[1:]:
            part.mix.weight.zero_()
            part.mix.bias.zero_()
        model.term.weight.copy_(torch.ones(2, 2))
        a, b = (model(torch.full((1, 2, 3), value), mask) for value in (-1.0, -2.0))
    torch.testing.assert_close(a, b)
