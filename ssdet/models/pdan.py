"""PDAN: dilated attention over three steps, in a pyramid of growing reach.

Source: Dai et al., WACV 2021, "PDAN: Pyramid Dilated Attention Network for Action
Detection", and its released code; spec of the heads, section 2.5.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssdet.models.step_mask import Padding, real_steps

TAPS = 3


class DilatedAttention(nn.Module):
    """Attention of every step and channel over three steps, `dilation` apart."""

    def __init__(self, channels: int, dilation: int) -> None:
        """Build."""
        super().__init__()
        self.dilation = dilation
        self.query = nn.Conv1d(channels, channels, 1, bias=False)
        self.key = nn.Conv1d(channels, channels, 1, bias=False)
        self.value = nn.Conv1d(channels, channels, 1, bias=False)
        for projection in (self.query, self.key, self.value):
            nn.init.kaiming_normal_(projection.weight, mode="fan_out")
        self.offset = nn.Parameter(torch.randn(channels, TAPS))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T).

        A step outside the sequence takes part, with score 0 and its offset as value.
        """
        scores = self.query(x)[..., None] * self._taps(self.key(x))  # (B, C, T, taps)
        values = self._taps(self.value(x)) + self.offset[:, None]
        return (scores.softmax(3) * values).sum(3)

    def _taps(self, x: Tensor) -> Tensor:
        """The step before, the step itself, the step after: (B, C, T, taps)."""
        reach, steps = self.dilation, x.shape[2]
        x = F.pad(x, (reach, reach))
        taps = [x[..., i * reach : i * reach + steps] for i in range(TAPS)]
        return torch.stack(taps, 3)


class PdanStage(nn.Module):
    """An entry, blocks of dilation 1, 2, 4, ..., and logits."""

    def __init__(
        self,
        width: int,
        channels: int,
        classes: int,
        blocks: int,
        dropout: float,
        padding: Padding,
    ) -> None:
        """Build; see `Pdan`."""
        super().__init__()
        self.padding: Padding = padding
        self.entry = nn.Conv1d(width, channels, 1)
        self.attention = nn.ModuleList(
            DilatedAttention(channels, 2**i) for i in range(blocks)
        )
        self.project = nn.ModuleList(
            nn.Conv1d(channels, channels, 1) for _ in range(blocks)
        )
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Conv1d(channels, classes, 1)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """(B, D, T) and (B, 1, T) -> logits (B, C, T), 0 after the real steps."""
        x = self.entry(x)
        if self.padding == "fixed":  # as around a single video; else the entry's bias
            x = x * real
        for attention, project in zip(self.attention, self.project, strict=True):
            x = (x + self.dropout(project(F.relu(attention(x))))) * real
        logits: Tensor = self.classify(x) * real
        return logits


class Pdan(nn.Module):
    """One stage or more; each one after the first refines the logits before it.

    With one stage of 5 blocks and 512 channels, D = 1024 and 157 classes it has
    5,858,461 parameters, and sees 31 steps to each side.
    """

    def __init__(
        self,
        *,
        width: int,
        classes: int,
        channels: int,
        blocks: int,
        stages: int,
        dropout: float,
        padding: Padding,
    ) -> None:
        """Build.

        Args:
            width: D of the features.
            classes: C.
            channels: of every block; 512.
            blocks: of each stage, block i has dilation 2^i; 5.
            stages: 1.
            dropout: probability, in the blocks; 0.5.
            padding: `fixed` sets steps after the video to 0 behind the entry, as they
                are around a single video; `reference` leaves the entry's bias there.
        """
        super().__init__()
        self.width = width
        widths = [width] + [classes] * (stages - 1)
        self.stages = nn.ModuleList(
            PdanStage(width, channels, classes, blocks, dropout, padding)
            for width in widths
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features (B, D, T) and mask (B, T) -> logits (B, C, T) of the last stage."""
        return self.all_stages(x, mask)[-1]

    def all_stages(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        """The logits (B, C, T) of every stage, 0 after the real steps."""
        real = real_steps(x, mask, self.width)
        logits = []
        for stage in self.stages:
            x = stage(x, real)
            logits.append(x)
        return logits
