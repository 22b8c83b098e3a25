"""SlowFast_det: few frames, joined at four depths by what a fast stream makes of all.

The authors of SSDet compare with a SlowFast of X3D streams that detects in every frame,
and define it nowhere. This is the standard SlowFast of two equal X3D streams; its cost
is the one they plot.

Source: Feichtenhofer et al., ICCV 2019 (arXiv:1812.03982); Kahatapitiya et al., AAAI
2023 (arXiv:2111.13675), table 2b; spec of Coarse-Fine, section 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssdet.models.frame_head import FrameHead
from ssdet.models.lateral import RATIO, WIDENING, Lateral
from ssdet.models.x3d import X3D

# What `start_from` leaves as it is, by the beginnings of names.
FRESH = ("laterals.", "head.fc2.")


class SlowFast(nn.Module):
    """Logits for every 4th frame of a clip.

    The slow stream sees every 4th frame, the fast stream all of them. Fast maps after
    the stem and the first three stages are joined to the slow ones. The fast stream is
    a finished single-stream detector: it is not trained and stays in evaluation mode.
    """

    def __init__(
        self,
        *,
        depth_factor: float,
        width_factor: float,
        head_width: int,
        classes: int,
        dropout: float,
    ) -> None:
        """Build.

        Args:
            depth_factor: of both streams; see `x3d.PRESETS`.
            width_factor: of both streams.
            head_width: channels between the classifier's two layers.
            classes: N.
            dropout: probability, in the head.
        """
        super().__init__()
        # ASSUME: connections and head of SlowFast as published, of full-width streams.
        self.fast = X3D(depth_factor, width_factor)
        widths = (self.fast.widths[0], *self.fast.widths[:3])
        joined = [WIDENING * width for width in widths]
        self.slow = X3D(depth_factor, width_factor, joined)
        self.laterals = nn.ModuleList(Lateral(width) for width in widths)
        self.head = FrameHead(
            2 * self.fast.conv5_width, head_width, classes, dropout, "loc"
        )
        self.fast.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Switch modes; the fast stream stays in evaluation."""
        super().train(mode)
        self.fast.eval()
        return self

    def forward(self, video: Tensor) -> Tensor:
        """Detect.

        Args:
            video: (B, 3, T, H, W).

        Returns:
            Logits (B, N, ceil(T / 4)); sample n lies at frame 4 n of the clip.
        """
        slow, fast = video[:, :, ::RATIO], video
        laterals = [*self.laterals, None]  # the last stages go to the head
        parts = zip(
            self.slow.stem_and_stages,
            self.fast.stem_and_stages,
            laterals,
            strict=True,
        )
        for slow_part, fast_part, lateral in parts:
            with torch.no_grad():
                fast = fast_part(fast)
            slow = slow_part(slow)
            if lateral is not None:
                slow = torch.cat([slow, lateral(fast)], 1)
        with torch.no_grad():
            fast = self.fast.finish(fast)
        slow = self.slow.finish(slow)
        logits: Tensor = self.head(torch.cat([_pool(slow), _pool(fast, RATIO)], 1))
        return logits


def _pool(x: Tensor, frames: int = 1) -> Tensor:
    """Mean over space, and over groups of frames; the last group may be smaller.

    (B, C, T, H, W) -> (B, C, ceil(T / frames), 1, 1).
    """
    pooled = F.avg_pool1d(x.mean((3, 4)), frames, ceil_mode=True)
    return pooled[..., None, None]


def from_single_streams(
    model: SlowFast, slow: Mapping[str, Tensor], fast: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Weights to start from, of two single-stream detectors.

    Layers of the slow stream that here see joined channels too begin without looking
    at them. Laterals and classifier (`FRESH`) have no weights to start from.

    Args:
        model: the network they are for.
        slow: weights of an `X3DDetector`, pretrained.
        fast: weights of one that was trained to detect; its head is not used.

    Returns:
        Names of `model`, except those in `FRESH`. Weights of another network are
        returned as they are, for `start_from` to refuse.
    """
    own = model.state_dict()
    streams = {
        f"fast.{name.removeprefix('backbone.')}": tensor
        for name, tensor in fast.items()
        if not name.startswith("head.")
    }
    for name, tensor in slow.items():
        ours = name.replace("backbone.", "slow.", 1)
        streams[ours] = _widened(tensor, own[ours]) if ours in own else tensor
    return streams


def _widened(tensor: Tensor, like: Tensor) -> Tensor:
    """A layer's weight with zeros for the input channels that only `like` has."""
    if tensor.ndim < 2 or tensor.shape[:1] != like.shape[:1]:
        return tensor
    missing = max(0, like.shape[1] - tensor.shape[1])
    zeros = tensor.new_zeros(len(tensor), missing, *tensor.shape[2:])
    return torch.cat([tensor, zeros], 1)
