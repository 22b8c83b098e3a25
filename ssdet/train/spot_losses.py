"""The supervised losses of SPOT, on labels or on what a teacher is sure of.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, section 6.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ssdet.models.precision import full, no_autocast

GAMMA = 2  # of the focal factor
PRIOR = 10  # cells added to each count, so that no weight is infinite
TINY = 1e-6  # inside the logarithms


def class_loss(
    logits: Tensor,
    classes: Tensor,
    kept: Tensor | None = None,
    focal: Literal["element", "batch"] = "element",
) -> Tensor:
    """Focal cross-entropy of snippets.

    Args:
        logits: (B, K + 1, T).
        classes: (B, T), in 0..K.
        kept: (B, T) bool, snippets that count; None: all.
        focal: the factor (1 - exp(-CE))^2 of each snippet (`element`), or of the mean
            (`batch`, as published).

    Returns:
        Scalar; 0 if no snippet counts.
    """
    with no_autocast(logits):
        entropy = F.cross_entropy(full(logits), classes, reduction="none")  # (B, T)
        weight = torch.ones_like(entropy) if kept is None else kept.to(entropy)
        if focal == "element":
            entropy = (1 - torch.exp(-entropy)) ** GAMMA * entropy
        mean = (entropy * weight).sum() / weight.sum().clamp(min=1)
        if focal == "batch":
            mean = (1 - torch.exp(-mean)) ** GAMMA * mean
        return mean


def balanced_entropy(mask: Tensor, target: Tensor, kept: Tensor | None) -> Tensor:
    """Cross-entropy of mask cells, both kinds of cells with about half of the weight.

    Args:
        mask: (B, T, T), probabilities.
        target: (B, T, T), in [0, 1]; the weights count exact ones and zeros.
        kept: (B, T, T) bool, cells that count; None: all.
    """
    weight = torch.ones_like(mask) if kept is None else kept.to(mask)
    positives = PRIOR + ((target == 1) * weight).sum()
    cells = PRIOR + positives + ((target == 0) * weight).sum()
    ratio = cells / positives
    for_zeros, for_ones = ratio / (2 * (ratio - 1)), ratio / 2
    entropy = for_ones * target * torch.log(mask + TINY)
    entropy = entropy + for_zeros * (1 - target) * torch.log(1 - mask + TINY)
    return -(entropy * weight).sum() / cells


def dice_loss(mask: Tensor, target: Tensor, kept: Tensor | None) -> Tensor:
    """1 - overlap of mask and target, mean over videos; a perfect mask has about 0.5.

    Args:
        mask: (B, T, T), probabilities.
        target: (B, T, T), in [0, 1].
        kept: (B, T, T) bool, cells that count; None: all.
    """
    if kept is not None:
        mask, target = mask * kept, target * kept
    shared = (mask * target).sum((1, 2)) + 1
    own = (mask.square() + target.square()).sum((1, 2)) + 1
    return (1 - shared / own).mean()


def mask_loss(
    mask: Tensor, target: Tensor, kept: Tensor | None = None, *, entropy_share: float
) -> Tensor:
    """Balanced entropy and dice loss, with shares that add to 1.

    Args:
        mask: (B, T, T), probabilities.
        target: (B, T, T), in [0, 1].
        kept: (B, T, T) bool, cells that count; None: all.
        entropy_share: of the entropy, in [0, 1] (lambda_2 of the paper).
    """
    with no_autocast(mask):
        mask, target = full(mask), target.to(full(mask).dtype)
        entropy = balanced_entropy(mask, target, kept)
        dice = dice_loss(mask, target, kept)
        return entropy_share * entropy + (1 - entropy_share) * dice


def reconstruction_loss(embedded: Tensor, features: Tensor) -> Tensor:
    """How far the embedding (B, C, T) is from the clean features (B, C, T)."""
    with no_autocast(embedded):
        return F.mse_loss(full(embedded), full(features))


@torch.no_grad()
def dice_score(mask: Tensor, target: Tensor) -> Tensor:
    """The usual overlap 2 |m g| / (|m| + |g|) of thresholded masks (B, T, T): (B,).

    A video without foreground in mask and target scores 1.
    """
    found = (mask > 0.5).to(target)
    shared = 2 * (found * target).sum((1, 2))
    both = found.sum((1, 2)) + target.sum((1, 2))
    return torch.where(both > 0, shared / both.clamp(min=1), torch.ones_like(both))
