"""Pseudo labels: what the teacher is sure of in a video without labels.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, section 9.3.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ssdet.augment.snippet_views import flip_time
from ssdet.models.precision import full


class PseudoLabels(NamedTuple):
    """Targets of a batch, and which of them count.

    Attributes:
        classes: (B, T) int64, in 0..K.
        kept_snippets: (B, T) bool.
        mask: (B, T, T), 0 or 1.
        kept_cells: (B, T, T) bool.
    """

    classes: Tensor
    kept_snippets: Tensor
    mask: Tensor
    kept_cells: Tensor


@torch.no_grad()
def pseudo_labels(
    logits: Tensor, mask: Tensor, sure_class: float, sure_mask: tuple[float, float]
) -> PseudoLabels:
    """Keep what is surely foreground, background or neither's.

    Args:
        logits: (B, K + 1, T), of the teacher.
        mask: (B, T, T), of the teacher.
        sure_class: least probability of a snippet's class; background like the others.
        sure_mask: at or below the first a cell is 0, at or above the second 1, between
            them it does not count; equal: all cells count.
    """
    chances, classes = torch.softmax(full(logits), 1).max(1)  # (B, T)
    low, high = sure_mask
    ones = mask >= high
    return PseudoLabels(
        classes, chances >= sure_class, ones.to(mask), ones | (mask <= low)
    )


def flip_labels(labels: PseudoLabels, flip: Tensor) -> PseudoLabels:
    """Turn the labels of the videos where `flip` (B,) is set, as their features are."""
    return PseudoLabels(
        flip_time(labels.classes, flip),
        flip_time(labels.kept_snippets, flip),
        flip_time(labels.mask, flip, -2),
        flip_time(labels.kept_cells, flip, -2),
    )


def ramp_up(epoch: float, epochs: float, highest: float) -> float:
    """The weight of the pseudo labels: small at first, `highest` from `epochs` on.

    Args:
        epoch: from 0, may be a fraction.
        epochs: of the ramp; 0: there is none.
        highest: weight at its end.
    """
    left = 1 - min(epoch, epochs) / epochs if epochs else 0.0
    return highest * math.exp(-5 * left**2)
