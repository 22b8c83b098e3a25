"""The baseline of the temporal heads: every step is classified by itself."""

from __future__ import annotations

from torch import Tensor, nn

from ssdet.models.step_mask import real_steps


class LinearHead(nn.Module):
    """Dropout and one linear layer. It has D C + C parameters."""

    def __init__(self, *, width: int, classes: int, dropout: float) -> None:
        """Build.

        Args:
            width: D of the features.
            classes: C.
            dropout: probability, of single elements.
        """
        super().__init__()
        self.width = width
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Conv1d(width, classes, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features (B, D, T) and mask (B, T) -> logits (B, C, T)."""
        real_steps(x, mask, self.width)
        logits: Tensor = self.classify(self.dropout(x))
        return logits
