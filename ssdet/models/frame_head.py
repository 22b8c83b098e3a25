"""The classifier: for each frame, or for the clip as a whole.

Source: Feichtenhofer, CVPR 2020 (X3D); per frame as in Kahatapitiya and Ryoo,
CVPR 2021 (arXiv:2103.01302), section 3.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from ssdet.kernels.pointwise import PointwiseConv3d

Mode = Literal["loc", "class"]
HEAD = "head"  # name of what the classifier reads, among the cached features


class FrameHead(nn.Module):
    """Pool, widen, drop, classify.

    In mode `loc` space is pooled and every frame has logits; in mode `class` time is
    pooled too. Both modes share their weights.
    """

    def __init__(
        self, channels: int, width: int, classes: int, dropout: float, mode: Mode
    ) -> None:
        """Build.

        Args:
            channels: C of the input.
            width: channels between the two layers.
            classes: K.
            dropout: probability, of single elements.
            mode: `loc` or `class`.

        Raises:
            ValueError: another mode.
        """
        super().__init__()
        if mode not in ("loc", "class"):
            raise ValueError(f"mode must be 'loc' or 'class', got {mode!r}")
        self.mode: Mode = mode
        self.fc1 = PointwiseConv3d(channels, width)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> logits (B, K, T), or (B, K, 1) in mode `class`."""
        return self.classify(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, width, T, 1, 1), or of a single T in mode `class`."""
        axes = (3, 4) if self.mode == "loc" else (2, 3, 4)
        return F.relu(self.fc1(x.mean(axes, keepdim=True)))

    def classify(self, features: Tensor) -> Tensor:
        """(B, width, T, 1, 1) -> logits (B, K, T)."""
        x = self.dropout(features)
        logits: Tensor = self.fc2(x.flatten(2).transpose(1, 2))
        return logits.transpose(1, 2)
