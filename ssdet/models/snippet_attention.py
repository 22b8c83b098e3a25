"""Self-attention over the snippets of a video, each head at the full width.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059), snippet embedding; spec of SPOT,
section 4.1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class SnippetAttention(nn.Module):
    """One attention block with a residual and a norm, and no feed-forward layer."""

    def __init__(
        self,
        channels: int,
        heads: int,
        dropout_attention: float,
        dropout_out: float,
        positions: int = 0,
    ) -> None:
        """Build.

        Args:
            channels: C, of input and output, and of each head.
            heads: H.
            dropout_attention: probability, on the attention weights.
            dropout_out: probability, before the residual.
            positions: rows of a table of learned positions that is added to the input,
                the largest T; 0: the block does not know where a snippet lies.
        """
        super().__init__()
        self.heads = heads
        self.positions = nn.Embedding(positions, channels) if positions else None
        self.queries = nn.Linear(channels, heads * channels, bias=False)
        self.keys = nn.Linear(channels, heads * channels, bias=False)
        self.values = nn.Linear(channels, heads * channels, bias=False)
        self.out = nn.Linear(heads * channels, channels)
        self.norm = nn.LayerNorm(channels, eps=1e-5)
        self.dropout_attention = nn.Dropout(dropout_attention)
        self.dropout_out = nn.Dropout(dropout_out)
        for layer in (self.queries, self.keys, self.values):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / (channels + channels)))
        nn.init.xavier_normal_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the snippets of each video.

        Args:
            x: (B, T, C).

        Returns:
            (B, T, C).

        Raises:
            ValueError: T is above the number of positions.
        """
        if self.positions is not None:
            table = self.positions.weight
            if x.shape[1] > len(table):
                raise ValueError(
                    f"{x.shape[1]} snippets, but positions for {len(table)} only"
                )
            x = x + table[: x.shape[1]]
        queries, keys, values = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, T, C)
            for layer in (self.queries, self.keys, self.values)
        )
        scores = queries @ keys.transpose(-1, -2) / math.sqrt(x.shape[-1])
        weights = self.dropout_attention(torch.softmax(scores, dim=-1))  # (B, H, T, T)
        mixed = (weights @ values).transpose(1, 2).flatten(2)  # (B, T, H C)
        out: Tensor = self.norm(self.dropout_out(self.out(mixed)) + x)
        return out
