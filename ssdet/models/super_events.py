"""Super-Events: what a video shows as a whole, weighed for each class.

Source: Piergiovanni and Ryoo, CVPR 2018 (arXiv:1712.01938); spec of the heads,
section 2.2.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ssdet.models.precision import no_autocast
from ssdet.models.step_mask import Padding, real_steps
from ssdet.models.structure_filter import StructureFilters

Merge = Literal["max", "concat"]


class SuperEventTerm(nn.Module):
    """One logit for each class and video, from two banks of structure filters."""

    def __init__(
        self,
        *,
        width: int,
        classes: int,
        filters: int,
        merge: Merge,
        dropout: float,
        padding: Padding,
        bound: float,
    ) -> None:
        """Build.

        Args:
            width: D of the features.
            classes: C.
            filters: N of each bank.
            merge: `max` over the filters (released weights), or `concat` (an earlier
                form, with N times the weights).
            dropout: probability, of the merged features.
            padding: see `StructureFilters.forward`.
            bound: initial class weights are drawn uniformly up to it.

        Raises:
            ValueError: another `merge`.
        """
        super().__init__()
        if merge not in ("max", "concat"):
            raise ValueError(f"merge must be 'max' or 'concat', got {merge!r}")
        self.merge = merge
        self.padding: Padding = padding
        self.banks = nn.ModuleList(
            StructureFilters(filters, "cauchy") for _ in range(2)
        )
        self.dropout = nn.Dropout(dropout)
        # The released code never initialises the choice; 0 takes half of each bank.
        self.choice = nn.Parameter(torch.zeros(classes))
        merged = width if merge == "max" else width * filters
        self.weight = nn.Parameter(torch.empty(classes, merged).uniform_(-bound, bound))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features (B, D, T), 0 after the real steps, and mask (B, T) -> (B, C)."""
        lengths = mask.sum(1)
        events = []
        for bank in self.banks:
            windows = bank(lengths, x.shape[2], self.padding)  # (B, N, T)
            with no_autocast(x):
                read = torch.einsum("bnt,bdt->bdn", windows.to(x.dtype), x)
            merged = read.amax(2) if self.merge == "max" else read.flatten(1)
            events.append(self.dropout(merged) @ self.weight.T)  # (B, C)
        share = torch.sigmoid(self.choice)
        return share * events[0] + (1 - share) * events[1]


class SuperEvents(nn.Module):
    """A linear classifier of the steps, plus the super-event term.

    With N = 3, D = 1024 and 157 classes it has 321,868 parameters (max).
    """

    def __init__(
        self,
        *,
        width: int,
        classes: int,
        filters: int,
        merge: Merge,
        dropout: float,
        padding: Padding,
    ) -> None:
        """Build.

        Args:
            width: D of the features.
            classes: C.
            filters: structure filters in each of the two banks; 3 (MultiTHUMOS: 1).
            merge: see `SuperEventTerm`.
            dropout: probability, of the features and of the merged ones; 0.7.
            padding: see `StructureFilters.forward`.
        """
        super().__init__()
        self.width = width
        bound = 1 / math.sqrt(2 * width)
        self.dropout = nn.Dropout(dropout)
        self.term = SuperEventTerm(
            width=width,
            classes=classes,
            filters=filters,
            merge=merge,
            dropout=dropout,
            padding=padding,
            bound=bound,
        )
        self.classify = nn.Conv1d(width, classes, 1)
        nn.init.uniform_(self.classify.weight, -bound, bound)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features (B, D, T) and mask (B, T) -> logits (B, C, T)."""
        x = self.dropout(x * real_steps(x, mask, self.width))
        logits: Tensor = self.classify(x)
        return logits + self.term(x, mask)[:, :, None]
