"""The loss of SPOT's pretraining: find what was cut out, restore, put in order.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, section 7.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ssdet.augment.random_foreground import (
    crop,
    draw_order,
    draw_spans,
    normalise,
    shuffle,
    span_mask,
)
from ssdet.augment.snippet_views import drop_snippets
from ssdet.config import SpotLosses, SpotPretrain
from ssdet.models.precision import full, no_autocast
from ssdet.models.spot import Spot
from ssdet.train.spot_losses import mask_loss, reconstruction_loss

HALVES = 2  # blocks of the published order task


class PretextDraws(NamedTuple):
    """What is done to a batch.

    Attributes:
        spans: (B, 2, 2), stretches that are kept; the second may be empty.
        orders: (B, N), of the blocks.
    """

    spans: Tensor
    orders: Tensor


class PretextLoss(NamedTuple):
    """The terms, without their weights, and the weighted sum."""

    mask: Tensor
    reconstruction: Tensor
    order: Tensor
    total: Tensor


def draw_pretext(
    batch: int, snippets: int, blocks: int, two_spans: float, source: torch.Generator
) -> PretextDraws:
    """Draw the pretext tasks of a batch.

    Args:
        batch: B.
        snippets: T.
        blocks: N, or 2 to swap halves or not.
        two_spans: probability that a video keeps two stretches instead of one.
        source: of the draws.
    """
    spans = torch.stack([draw_spans(snippets, 2, source) for _ in range(batch)])
    one = torch.rand(batch, generator=source) >= two_spans
    spans[one, 1] = 0
    orders = torch.stack([draw_order(blocks, source) for _ in range(batch)])
    return PretextDraws(spans, orders)


def pretext_loss(
    network: Spot,
    features: Tensor,
    draws: PretextDraws,
    cfg: SpotPretrain,
    losses: SpotLosses,
    source: torch.Generator,
) -> PretextLoss:
    """Loss of the three tasks; the class branch has no part in them.

    Args:
        network: the student.
        features: (B, inputs, T).
        draws: from `draw_pretext`.
        cfg: weights of the terms.
        losses: share of the entropy in the mask loss, and of dropped snippets.
        source: of the dropped snippets.
    """
    clean = normalise(features) if cfg.normalise else features
    device = features.device
    spans = draws.spans.to(device, non_blocking=True)
    cropped = crop(clean, spans)
    # ASSUME: the published masks, with a square for each span, only with its order task
    target = span_mask(spans, features.shape[2], merge=network.compat == "fixed")
    found = network.mask_branch(network.embed(cropped))
    mask = mask_loss(found, target, entropy_share=losses.entropy_share)
    spoiled = drop_snippets(cropped, losses.drop_snippets, source)
    reconstruction = reconstruction_loss(
        network.embed(spoiled), network.project(clean).detach()
    )
    order = order_loss(network, clean, draws.orders.to(device, non_blocking=True))
    total = cfg.mask * mask + cfg.reconstruction * reconstruction + cfg.order * order
    return PretextLoss(mask, reconstruction, order, total)


def order_loss(network: Spot, features: Tensor, orders: Tensor) -> Tensor:
    """Cross-entropy of the order head on shuffled videos.

    Args:
        network: a fixed one says of each snippet from which block it comes, a reference
            one of each video whether its halves were swapped (0) or not (1).
        features: (B, inputs, T).
        orders: (B, N), of the blocks.
    """
    shuffled, origin = shuffle(features, orders)
    logits = network.order(shuffled)
    with no_autocast(logits):
        if network.compat == "fixed":
            return F.cross_entropy(full(logits), origin)
        return F.cross_entropy(full(logits), (orders[:, 0] == 0).long())


def blocks_of(network: Spot, blocks: int) -> int:
    """How many blocks the network's order head tells apart."""
    return blocks if network.compat == "fixed" else HALVES
