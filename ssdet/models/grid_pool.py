"""Grid Pool: keep few frames, dense where the network is confident.

Source: Kahatapitiya and Ryoo, CVPR 2021 (arXiv:2103.01302), section 3.2.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ssdet.models.precision import full, no_autocast
from ssdet.models.sub_batch_norm import SubBatchNorm3d
from ssdet.models.time_sampling import read_at

RATIO = 4  # frames for each confidence: two convolutions of temporal stride 2
TEMPERATURE = 2.0


class GridPool(nn.Module):
    """Sample T frames down to L + 1, where a small network says; L = ceil(T / 4)."""

    def __init__(self, channels: int) -> None:
        """Build for inputs of `channels` channels."""
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, 2, 1)
        self.norm1 = SubBatchNorm3d(channels)
        self.conv2 = nn.Conv3d(channels, channels, 3, 2, 1)
        self.norm2 = SubBatchNorm3d(channels)
        self.conv3 = nn.Conv3d(channels, 1, (1, 3, 3), (1, 2, 2), (0, 1, 1))

    def confidence(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> confidence logits (B, L)."""
        x = self.norm1.relu(self.conv1(x))
        x = self.norm2.relu(self.conv2(x))
        return full(self.conv3(x)).mean((1, 3, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sample (B, C, T, H, W).

        Returns:
            The frames (B, C, L + 1, H, W), the grid (B, L + 1) they were read at, as a
            fraction of the clip, and the confidence logits (B, L).
        """
        logits = self.confidence(x)
        grid = sampling_grid(logits)
        return read_at(x, grid * (x.shape[2] - 1)), grid, logits


def sampling_grid(confidence_logits: Tensor) -> Tensor:
    """Where to sample: small steps where confidence is high.

    Args:
        confidence_logits: (B, L).

    Returns:
        (B, L + 1), rising from 0 to 1; float32 or better.
    """
    with no_autocast(confidence_logits):
        # of 1 - confidence; the softmax is its share, also where all are near 0
        doubt = F.logsigmoid(-full(confidence_logits) / TEMPERATURE)
        return F.pad(doubt.softmax(1).cumsum(1), (1, 0))
