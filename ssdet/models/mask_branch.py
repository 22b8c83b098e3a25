"""The mask branch: which snippets belong to the same action as each snippet.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, section 4.3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssdet.models.precision import full, no_autocast


class MaskBranch(nn.Module):
    """A global mask for every snippet at once; no proposals are made on the way.

    Row r says which snippets belong to the same action as snippet r. The number of
    snippets T is the width of the last layer, so it cannot change after training.
    """

    def __init__(self, channels: int, hidden: int, snippets: int) -> None:
        """Build.

        Args:
            channels: C.
            hidden: channels between the two layers.
            snippets: T.
        """
        super().__init__()
        self.context = nn.Conv1d(channels, hidden, 3, padding=1)
        self.rows = nn.Conv1d(hidden, snippets, 1, bias=False)

    def forward(self, embedded: Tensor) -> Tensor:
        """Masks (B, T, T), row r by time t, in (0, 1), of snippets (B, C, T)."""
        logits = self.rows(F.relu(self.context(embedded)))
        with no_autocast(logits):
            return torch.sigmoid(full(logits))
