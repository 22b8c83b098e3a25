"""Squeeze-excitation: weigh channels by what the whole clip shows.

Source: Hu et al., CVPR 2018; widths as in Feichtenhofer, CVPR 2020 (X3D).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ssdet.kernels.norm import excite


def round_width(width: float) -> int:
    """Round to a multiple of 8, at least 8 and never below 90 % of `width`."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


class SqueezeExcite(nn.Module):
    """A gate for each channel, computed from its mean over time and space.

    The mean takes in the whole clip, so what the gate does to a frame depends on the
    length of the clip it is in.
    """

    def __init__(self, channels: int) -> None:
        """Build the gate of `channels` channels, a sixteenth as wide inside."""
        super().__init__()
        width = round_width(channels / 16)
        self.reduce = nn.Conv3d(channels, width, 1)
        self.expand = nn.Conv3d(width, channels, 1)

    @property
    def layers(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights and biases of both layers, for `kernels.norm`."""
        first, second = self.reduce, self.expand
        assert first.bias is not None
        assert second.bias is not None
        return first.weight, first.bias, second.weight, second.bias

    def factors(self, mean: Tensor) -> Tensor:
        """The factors (B, C) for clips of these means (B, C), in their type."""
        return excite(mean, self.layers)[1]

    def forward(self, x: Tensor) -> Tensor:
        """The factors (B, C, 1, 1, 1) in (0, 1) for the channels of (B, C, T, H, W)."""
        mean = x.mean((2, 3, 4), keepdim=True)
        return self.expand(F.relu(self.reduce(mean))).sigmoid()
