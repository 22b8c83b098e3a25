"""Order heads, of the pretraining only: where in time does a shuffled snippet belong?

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, sections 4.4, 7.2.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ssdet.models.snippet_attention import SnippetAttention


class BlockOrderHead(nn.Module):
    """Which of the video's equal blocks each snippet was in before the shuffle."""

    def __init__(
        self,
        channels: int,
        heads: int,
        dropout_attention: float,
        dropout_out: float,
        snippets: int,
        blocks: int,
    ) -> None:
        """Build.

        Args:
            channels: C.
            heads: of the attention, which knows positions.
            dropout_attention: see `SnippetAttention`.
            dropout_out: see `SnippetAttention`.
            snippets: T.
            blocks: N, blocks that are shuffled.
        """
        super().__init__()
        self.attention = SnippetAttention(
            channels, heads, dropout_attention, dropout_out, positions=snippets
        )
        self.blocks = nn.Linear(channels, blocks)

    def forward(self, embedded: Tensor) -> Tensor:
        """Logits (B, N, T) of snippets (B, C, T)."""
        mixed = self.attention(embedded.transpose(1, 2))  # (B, T, C)
        logits: Tensor = self.blocks(mixed).transpose(1, 2)  # (B, N, T)
        return logits


class HalfOrderHead(nn.Module):
    """Whether the two halves of the video were swapped: the published program's."""

    def __init__(self, channels: int, snippets: int) -> None:
        """Build for C channels and T snippets."""
        super().__init__()
        self.line = nn.Conv1d(channels, 1, 3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.halves = nn.Linear(snippets, 2)

    def forward(self, embedded: Tensor) -> Tensor:
        """Logits (B, 2) of snippets (B, C, T)."""
        line = F.relu(self.line(embedded)).squeeze(1)  # (B, T)
        logits: Tensor = self.halves(self.dropout(line))
        return logits
