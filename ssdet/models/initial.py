"""Initial weights, for networks that start from nothing or in part."""

from __future__ import annotations

from typing import Literal

from torch import nn

from ssdet.models.bottleneck import Bottleneck, DepthwiseConv3d
from ssdet.models.frame_head import FrameHead

Preset = Literal["reference", "x3d"]


def initialise(model: nn.Module, preset: Preset = "reference") -> None:
    """Draw the weights of all 3D convolutions anew, in place.

    They are normal with variance 2 / (output channels * kernel volume). That ignores
    groups, so depthwise kernels start small; the norm after them undoes it. Linear and
    1D convolutions and all biases keep PyTorch's own initial values.

    Args:
        model: any network of this package.
        preset: `reference`, or `x3d`, which also closes every residual branch (last
            norm's weight 0) and starts the classifier near 0, as X3D's authors do.

    Raises:
        ValueError: another preset.
    """
    if preset not in ("reference", "x3d"):
        raise ValueError(f"preset must be 'reference' or 'x3d', got {preset!r}")
    for module in model.modules():
        if isinstance(module, nn.Conv3d | DepthwiseConv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if preset == "x3d" and isinstance(module, Bottleneck):
            nn.init.zeros_(module.project_norm.weight)
        if preset == "x3d" and isinstance(module, FrameHead):
            nn.init.normal_(module.fc2.weight, std=0.01)
            nn.init.zeros_(module.fc2.bias)
