"""Contrast at the boundaries: how the class branch and the mask branch help each other.

Snippets that the class branch is sure of are easy; those that the mask branch puts next
to a boundary are hard. Hard action is drawn to easy action and away from easy
background, hard background the other way, all in the embedding and over time.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, section 8.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ssdet.models.precision import full, no_autocast
from ssdet.train.boundary_rings import above_median, rings


class Mined(NamedTuple):
    """Chosen snippets of each video, all (B, T) bool."""

    easy_action: Tensor
    easy_background: Tensor
    hard_action: Tensor
    hard_background: Tensor


class Contrast(NamedTuple):
    """The two terms of the loss, and their sum."""

    action: Tensor
    background: Tensor
    total: Tensor


class Counts(NamedTuple):
    """How many snippets are chosen, and how wide the rings are, in snippets."""

    easy: int
    hard: int
    small: int
    large: int


def counts_for(snippets: int) -> Counts:
    """The published numbers for T = 100, in proportion."""
    small = max(2, round(0.04 * snippets))
    return Counts(max(1, snippets // 10), max(1, snippets // 5), small, 2 * small)


@torch.no_grad()
def mine(logits: Tensor, mask: Tensor, counts: Counts, seen: Tensor) -> Mined:
    """Choose easy and hard snippets of each video; equal scores: the earlier one.

    Args:
        logits: (B, K + 1, T), the last row is background.
        mask: (B, T, T), or its diagonal (B, T): how surely each snippet is action.
        counts: how many to choose.
        seen: (B, T) bool, snippets that may be easy; some are hidden by chance in
            training.
    """
    actionness = mask.diagonal(dim1=1, dim2=2) if mask.ndim == 3 else mask
    chances = torch.softmax(full(logits), 1)
    action = chances[:, :-1]
    votes = F.one_hot(action.argmax(1), action.shape[1]).sum(1)  # (B, K)
    label = votes.argmax(1)  # (B,), ties: the smallest index
    of_label = action[torch.arange(len(label), device=label.device), label]  # (B, T)
    inner, outer = rings(above_median(actionness, 1), counts.small, counts.large)
    return Mined(
        _highest(of_label, counts.easy, seen),
        _highest(chances[:, -1], counts.easy, seen),
        _highest(actionness, counts.hard, inner),
        _highest(actionness, counts.hard, outer),
    )


def boundary_contrast(embedded: Tensor, mined: Mined, temperature: float) -> Contrast:
    """Draw hard snippets to the easy ones of their kind (InfoNCE, both ways).

    Args:
        embedded: (B, C, T).
        mined: from `mine`; the choice itself has no gradient.
        temperature: of the similarities, above 0.

    Returns:
        Means over the videos that have all the snippets that a term needs; 0 if there
        are none.
    """
    with no_autocast(embedded):
        rows = full(embedded).transpose(1, 2)  # (B, T, C)
        action = _info_nce(
            rows,
            mined.hard_action,
            mined.easy_action,
            mined.easy_background,
            temperature,
        )
        background = _info_nce(
            rows,
            mined.hard_background,
            mined.easy_background,
            mined.easy_action,
            temperature,
        )
        return Contrast(action, background, action + background)


def _info_nce(
    rows: Tensor, hard: Tensor, easy: Tensor, other: Tensor, temperature: float
) -> Tensor:
    """-log of the share that the easy snippets' mean has of all similarities.

    Args:
        rows: (B, T, C).
        hard: (B, T) bool; their mean asks.
        easy: (B, T) bool; their mean is to be near.
        other: (B, T) bool; each is to be far.
        temperature: of the similarities.
    """
    query = F.normalize(_mean(rows, hard), dim=-1)  # (B, C)
    positive = F.normalize(_mean(rows, easy), dim=-1)  # (B, C)
    near = (query * positive).sum(-1, keepdim=True) / temperature  # (B, 1)
    far = (F.normalize(rows, dim=-1) @ query[..., None]).squeeze(-1)  # (B, T)
    far = (far / temperature).masked_fill(~other, -torch.inf)
    losses = torch.logsumexp(torch.cat([near, far], 1), 1) - near.squeeze(1)
    usable = hard.any(1) & easy.any(1) & other.any(1)
    return (losses * usable).sum() / usable.sum().clamp(min=1)


def _mean(rows: Tensor, chosen: Tensor) -> Tensor:
    """Mean (B, C) of the chosen rows of (B, T, C); zero where none is."""
    weight = chosen.to(rows)[..., None]
    return (rows * weight).sum(1) / weight.sum(1).clamp(min=1)


def _highest(scores: Tensor, count: int, allowed: Tensor) -> Tensor:
    """The `count` highest scores (B, T) of those allowed, or all if they are fewer."""
    ranked = scores.masked_fill(~allowed, -torch.inf)
    order = ranked.argsort(dim=1, descending=True, stable=True)
    first = torch.zeros_like(allowed).scatter(1, order[:, :count], True)
    return first & allowed
