"""The encoder of MS-TCT: four stages of attention, at falling rates.

Source: Dai et al., CVPR 2022 (arXiv:2112.03902), section 3, and its released code; spec
of the heads, section 2.6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


class GlobalBlock(nn.Module):
    """Self-attention over all steps."""

    def __init__(self, channels: int, heads: int) -> None:
        """Build.

        Raises:
            ValueError: the heads do not share the channels evenly.
        """
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels cannot be shared by {heads} heads")
        self.heads = heads
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.project = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        key, value = self.key_value(x).chunk(2, 2)
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, T, C')
            for part in (self.query(x), key, value)
        )
        x = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.project(x.transpose(1, 2).flatten(2))
        return out


class LocalBlock(nn.Module):
    """Two layers for each step, with a look at its neighbours between them."""

    def __init__(self, channels: int, ratio: int) -> None:
        """Build with `ratio` times the channels inside."""
        super().__init__()
        inner = ratio * channels
        self.widen = nn.Linear(channels, inner)
        self.neighbours = nn.Conv1d(inner, inner, 3, padding=1, groups=inner)
        self.narrow = nn.Linear(inner, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        x = self.neighbours(self.widen(x).transpose(1, 2)).transpose(1, 2)
        out: Tensor = self.narrow(F.gelu(x))
        return out


class Block(nn.Module):
    """Global, then local relations; each is added to what came."""

    def __init__(self, channels: int, heads: int, ratio: int) -> None:
        """Build; see `Encoder`."""
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attention = GlobalBlock(channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.local = LocalBlock(channels, ratio)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        x = x + self.attention(self.norm1(x))
        out: Tensor = x + self.local(self.norm2(x))
        return out


class Stage(nn.Module):
    """Merge steps, then relate them."""

    def __init__(
        self,
        width: int,
        channels: int,
        stride: int,
        blocks: int,
        heads: int,
        ratio: int,
    ) -> None:
        """Build; see `Encoder`."""
        super().__init__()
        self.merge = nn.Conv1d(width, channels, 3, stride, 1)
        self.merge_norm = nn.LayerNorm(channels)
        self.blocks = nn.ModuleList(
            Block(channels, heads, ratio) for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, T) -> (B, C, ceil(T / stride))."""
        x = self.merge_norm(self.merge(x).transpose(1, 2))  # (B, T', C)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x).transpose(1, 2)
        return out


class Encoder(nn.Module):
    """Stages one after the other; each but the first halves the rate."""

    def __init__(
        self, width: int, widths: Sequence[int], blocks: int, heads: int, ratio: int
    ) -> None:
        """Build.

        Args:
            width: D of the features.
            widths: channels of each stage.
            blocks: in each stage.
            heads: of the attention.
            ratio: channels inside a local block, over those outside.
        """
        super().__init__()
        befores = [width, *widths[:-1]]
        self.stages = nn.ModuleList(
            Stage(before, own, 1 if i == 0 else 2, blocks, heads, ratio)
            for i, (before, own) in enumerate(zip(befores, widths, strict=True))
        )
        self.apply(_initialise)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, D, T) -> the output of each stage, (B, C_s, T_s)."""
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs


def _initialise(module: nn.Module) -> None:
    """Linear layers near 0, convolutions by their fan-out, no bias."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Conv1d):
        fan_out = module.kernel_size[0] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    if isinstance(module, nn.Linear | nn.Conv1d) and module.bias is not None:
        nn.init.zeros_(module.bias)
