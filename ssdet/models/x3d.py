"""X3D, the backbone of every model here. Time is never strided nor pooled.

Source: Feichtenhofer, CVPR 2020 (arXiv:2004.04730), table 1 and section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ssdet.kernels.choice import kernels_for
from ssdet.kernels.depthwise import (
    depthwise_conv3d,
    depthwise_moments,
    depthwise_scaled,
)
from ssdet.kernels.pointwise import PointwiseConv3d
from ssdet.kernels.stem import stem
from ssdet.models.bottleneck import Bottleneck
from ssdet.models.pieces import in_pieces
from ssdet.models.squeeze_excite import round_width
from ssdet.models.sub_batch_norm import SubBatchNorm3d

# Published sizes: depth factor and width factor. S and M differ only in their clips.
PRESETS: dict[str, tuple[float, float]] = {
    "x3d_s": (2.2, 2.0),
    "x3d_m": (2.2, 2.0),
    "x3d_l": (5.0, 2.0),
    "x3d_xl": (5.0, 2.9),
}
BASE_DEPTHS = (1, 2, 5, 3)
BASE_WIDTHS = (12, 24, 48, 96)
EXPANSION = 2.25
Alter = Callable[[Tensor], Tensor]  # of a map
FEATURES = ("layer1", "layer2", "layer3", "layer4", "conv5")


class TemporalConv3d(nn.Conv3d):
    """A convolution of each channel over five frames; no bias."""

    def __init__(self, channels: int) -> None:
        """Build."""
        super().__init__(
            channels, channels, (5, 1, 1), 1, (2, 0, 0), groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> the same shape."""
        return depthwise_conv3d(x, self.weight, 1)


class Stem(nn.Module):
    """A spatial convolution, then one in time of each channel, norm and ReLU."""

    def __init__(self, width: int) -> None:
        """Build; `width` is the number of output channels."""
        super().__init__()
        self.spatial = nn.Conv3d(3, width, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False)
        self.temporal = TemporalConv3d(width)
        self.norm = SubBatchNorm3d(width)
        self.frames_at_once: int | None = None  # in evaluation; see `pieces.py`

    def forward(self, video: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> (B, width, T, ceil(H / 2), ceil(W / 2))."""
        fixed = not self.training and not torch.is_grad_enabled()
        kernels = kernels_for(video)
        if fixed and kernels == "compiled":
            norm = self.norm.scale_and_shift()
            return stem(video, self.spatial.weight, self.temporal.weight, norm)
        frames = None if self.training else self.frames_at_once
        folds = fixed and kernels == "triton"
        convolve = self._convolve_folded if folds else self._convolve
        return in_pieces(convolve, frames, 2, video)

    def _convolve(self, video: Tensor) -> Tensor:
        x = self.spatial(video)
        if not self.norm.of_batch:
            return self.norm.relu(self.temporal(x))
        x, found = depthwise_moments(x, self.temporal.weight, 1)
        return self.norm.relu(x, found=found)

    def _convolve_folded(self, video: Tensor) -> Tensor:
        x, norm = self.spatial(video), self.norm.scale_and_shift()
        return depthwise_scaled(x, self.temporal.weight, 1, norm, "relu")


class X3D(nn.Module):
    """Stem, four stages and conv5.

    Attributes:
        depths: blocks in each stage.
        widths: channels after each stage; the stem has those of the first.
        conv5_width: channels after conv5.
    """

    def __init__(
        self,
        depth_factor: float,
        width_factor: float,
        joined: Sequence[int] = (0, 0, 0, 0),
    ) -> None:
        """Build.

        Args:
            depth_factor: blocks over those of the base network; see `PRESETS`.
            width_factor: channels over those of the base network.
            joined: further channels at the input of each stage, which a caller that
                goes through `stem_and_stages` joins to the map before.
        """
        super().__init__()
        self.depths = tuple(math.ceil(depth_factor * base) for base in BASE_DEPTHS)
        self.widths = tuple(round_width(width_factor * base) for base in BASE_WIDTHS)
        self.conv5_width = inner_width(self.widths[-1])
        inputs = (self.widths[0], *self.widths)
        self.stem = Stem(self.widths[0])
        self.stages = nn.ModuleList(
            _stage(inputs[i] + joined[i], self.widths[i], self.depths[i])
            for i in range(4)
        )
        self.conv5 = PointwiseConv3d(self.widths[-1], self.conv5_width)
        self.norm5 = SubBatchNorm3d(self.conv5_width)

    @property
    def stem_and_stages(self) -> list[nn.Module]:
        """Stem and stages in order, for a caller that does something in between.

        The last one's output goes to `finish`.
        """
        return [self.stem, *self.stages]

    @property
    def feature_channels(self) -> dict[str, int]:
        """Channels of each feature map, by its name in `FEATURES`."""
        return dict(zip(FEATURES, (*self.widths, self.conv5_width), strict=True))

    def finish(self, x: Tensor) -> Tensor:
        """conv5, norm and ReLU on the output of the last stage."""
        return self.norm5.relu(self.conv5(x))

    def feature_maps(self, video: Tensor) -> dict[str, Tensor]:
        """Every map of `FEATURES`, in order.

        Args:
            video: (B, 3, T, H, W).

        Returns:
            Maps (B, C, T, H', W'): the sides are halved, rounded up, by the stem and by
            each stage.
        """
        x = self.stem(video)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return dict(zip(FEATURES, (*maps, self.finish(x)), strict=True))

    def forward(
        self, video: Tensor, alter: Alter | None = None, level: int = 0
    ) -> Tensor:
        """Run the network.

        Args:
            video: (B, 3, T, H, W).
            alter: turns one map into another of the same shape, on the way.
            level: where: 0 for the input, n for the output of stage n.

        Returns:
            (B, conv5_width, T, H', W').
        """
        x = video
        if alter is not None and level == 0:
            x = alter(x)
        for number, part in enumerate(self.stem_and_stages):
            x = part(x)
            if alter is not None and level == number > 0:
                x = alter(x)
        return self.finish(x)


def inner_width(out: int) -> int:
    """Channels inside a block that gives `out` channels."""
    return int(EXPANSION * out)


def _stage(channels: int, out: int, depth: int) -> nn.Sequential:
    """Blocks of one stage: the first one strides, every other one is gated."""
    return nn.Sequential(
        *(
            Bottleneck(
                out if block else channels,
                inner_width(out),
                out,
                stride=1 if block else 2,
                gated=block % 2 == 0,
            )
            for block in range(depth)
        )
    )
