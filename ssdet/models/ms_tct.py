"""MS-TCT: a multi-scale encoder, its scales mixed, and a heat map of centres.

Source: Dai et al., CVPR 2022 (arXiv:2112.03902), and its released code; spec of the
heads, section 2.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssdet.models.ms_tct_encoder import Encoder
from ssdet.models.step_mask import real_steps


class MsTctOutput(NamedTuple):
    """Logits (B, C, T), and logits of the heat map (B, C, T), for training only."""

    logits: Tensor
    heat_map: Tensor


class ScaleMixer(nn.Module):
    """The outputs of all stages at the first one's rate, in two combinations."""

    def __init__(self, widths: Sequence[int], channels: int) -> None:
        """Build."""
        super().__init__()
        self.project = nn.ModuleList(nn.Linear(width, channels) for width in widths)
        self.align = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in widths)
        self.align[-1].requires_grad_(
            False
        )  # without effect; published weights have it

    def forward(self, outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Mix (B, C_s, T_s), finest first.

        Returns:
            (B, channels of all scales, T), coarsest first: each but the coarsest with
            the coarsest added; and as they are.
        """
        steps = outputs[0].shape[2]
        scales = []
        for x, project in zip(outputs, self.project, strict=True):
            x = project(x.transpose(1, 2)).transpose(1, 2)
            if x.shape[2] != steps:
                x = F.interpolate(x, size=steps, mode="linear", align_corners=False)
            scales.append(x)
        scales.reverse()
        coarsest = scales[0]
        mixed = [coarsest]
        for x, align in zip(scales[1:], self.align, strict=False):
            mixed.append(align(coarsest) + x)
        return torch.cat(mixed, 1), torch.cat(scales, 1)


class MsTct(nn.Module):
    """Encoder, mixer, classifier and heat map.

    It knows no mask: it is trained and run on windows of one length, and attends to the
    zeros that fill a short one. With the published widths, D = 1024 and 157 classes it
    has 87,503,930 parameters.
    """

    def __init__(
        self,
        *,
        width: int,
        classes: int,
        widths: Sequence[int],
        blocks: int,
        heads: int,
        ratio: int,
        mixed: int,
        dropout: float,
    ) -> None:
        """Build.

        Args:
            width: D of the features.
            classes: C.
            widths: channels of the stages; 256, 384, 576, 864.
            blocks: of each stage; 3.
            heads: of the attention; 8.
            ratio: of the local blocks' inner channels to the outer ones; 8.
            mixed: channels of each scale in the mixer; 512.
            dropout: probability, of the features and before the classifier; 0.5.
        """
        super().__init__()
        self.width = width
        self.dropout = nn.Dropout(dropout)
        self.encoder = Encoder(width, widths, blocks, heads, ratio)
        self.mixer = ScaleMixer(widths, mixed)
        self.fuse = nn.Conv1d(len(widths) * mixed, mixed, 1)
        self.classify = nn.Conv1d(mixed, classes, 1)
        self.heat_map = nn.Sequential(
            nn.Conv1d(len(widths) * mixed, mixed, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(mixed, classes, 1),
        )

    def forward(self, x: Tensor, mask: Tensor) -> MsTctOutput:
        """Classify features (B, D, T) with mask (B, T)."""
        x = x * real_steps(x, mask, self.width)
        mixed, plain = self.mixer(self.encoder(self.dropout(x)))
        logits = self.classify(self.dropout(self.fuse(mixed)))
        return MsTctOutput(logits, self.heat_map(plain))
