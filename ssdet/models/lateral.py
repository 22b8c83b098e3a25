"""The lateral connection of SlowFast: fast maps, brought to the slow stream's rate.

Source: Feichtenhofer et al., ICCV 2019 (arXiv:1812.03982), section 3.3, "time-strided
convolution".
"""

from __future__ import annotations

from torch import Tensor, nn

from ssdet.models.sub_batch_norm import SubBatchNorm3d

RATIO = 4  # fast frames for each slow one
KERNEL = 5  # fast frames that a slow one looks at, centred on its own
WIDENING = 2  # output channels over input channels


class Lateral(nn.Module):
    """A convolution in time with stride 4, norm and ReLU; twice the channels."""

    def __init__(self, channels: int) -> None:
        """Build for fast maps of `channels` channels."""
        super().__init__()
        self.convolution = nn.Conv3d(
            channels,
            WIDENING * channels,
            (KERNEL, 1, 1),
            (RATIO, 1, 1),
            (KERNEL // 2, 0, 0),
            bias=False,
        )
        self.norm = SubBatchNorm3d(WIDENING * channels)

    def forward(self, fast: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, 2 C, ceil(T / 4), H, W), ReLU at the end."""
        return self.norm.relu(self.convolution(fast))
