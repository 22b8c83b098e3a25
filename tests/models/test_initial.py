import pytest
import torch
from torch import nn

from ssdet.models.bottleneck import Bottleneck, DepthwiseConv3d
from ssdet.models.frame_head import FrameHead
from ssdet.models.initial import initialise


@pytest.mark.parametrize(
    ("module", "deviation"),
    [
        (nn.Conv3d(64, 256, 1), (2 / 256) ** 0.5),
        (nn.Conv3d(8, 128, 3), (2 / (128 * 27)) ** 0.5),
        (DepthwiseConv3d(1000, 1), (2 / (1000 * 27)) ** 0.5),  # ignores the groups
    ],
)
def test_deviation_is_that_of_fan_out(module, deviation):
    torch.manual_seed(0)
    initialise(nn.Sequential(module))
    assert module.weight.std().item() == pytest.approx(deviation, rel=0.03)


def test_reference_leaves_norms_open():
    block = Bottleneck(4, 9, 4, stride=1, gated=False)
    initialise(block)
    assert block.project_norm.weight.tolist() == [1.0] * 4


def test_x3d_closes_branches():
    block = Bottleneck(4, 9, 4, stride=1, gated=False)
    head = FrameHead(8, 64, 100, 0.5, "loc")
    initialise(nn.Sequential(block, head), "x3d")
    assert block.project_norm.weight.tolist() == [0.0] * 4
    assert block.expand_norm.weight.tolist() == [1.0] * 9
    assert head.fc2.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert head.fc2.bias.abs().max() == 0


def test_unknown_preset():
    with pytest.raises(ValueError, match=r"preset must be .* got 'zero'"):
        initialise(nn.Sequential(), "zero")
