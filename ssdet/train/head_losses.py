"""The losses of the temporal heads.

Source: released code of Super-Events, TGM, PDAN and MS-TCT; Zhou et al., 2019
(arXiv:1904.07850), equation 1, for the heat map; spec of the heads, sections 2.6 and 3.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ssdet.models.precision import full, no_autocast

LossSteps = Literal["real", "all"]
Pairing = Literal["own", "all"]
CLIP = 1e-4  # of a heat map's probabilities, at both ends


def step_loss(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor,
    steps: LossSteps,
    count: float | None = None,
) -> Tensor:
    """Binary cross-entropy, summed over classes, for each real step.

    Args:
        logits: (B, C, T).
        labels: (B, C, T), in [0, 1], 0 after the real steps.
        mask: (B, T), 1 on real steps.
        steps: which are summed: `real` ones, or `all` of the padded batch (as the
            released programs, so that a batch's loss depends on what else is in it).
        count: what the sum is divided by; None: the number of real steps.

    Returns:
        Scalar.

    Raises:
        ValueError: the shapes do not fit, or another value of `steps`.
    """
    batch, _, length = logits.shape
    if labels.shape != logits.shape or mask.shape != (batch, length):
        raise ValueError(
            f"labels must be {tuple(logits.shape)} like logits and mask"
            f" {(batch, length)}, got {tuple(labels.shape)} and {tuple(mask.shape)}"
        )
    if steps not in ("real", "all"):
        raise ValueError(f"steps must be 'real' or 'all', got {steps!r}")
    with no_autocast(logits):
        logits = full(logits)
        labels, mask = labels.to(logits.dtype), mask.to(logits.dtype)
        entropy = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        if steps == "real":
            entropy = entropy * mask[:, None]
        return entropy.sum() / (mask.sum() if count is None else count)


def heat_map_loss(logits: Tensor, target: Tensor, pairing: Pairing) -> Tensor:
    """Focal loss of a heat map, mean over the videos.

    Cells that are exactly 1 are positive. Others count less the nearer they are to 1.

    Args:
        logits: (B, C, T).
        target: (B, C, T), in [0, 1].
        pairing: compare a video's map with its `own` target, or with those of `all`
            videos in the batch, as the released program does by broadcasting.

    Returns:
        Scalar.

    Raises:
        ValueError: the shapes do not fit, or another value of `pairing`.
    """
    if target.shape != logits.shape:
        raise ValueError(
            f"target must be {tuple(logits.shape)} like logits, got"
            f" {tuple(target.shape)}"
        )
    if pairing not in ("own", "all"):
        raise ValueError(f"pairing must be 'own' or 'all', got {pairing!r}")
    with no_autocast(logits):
        logits = full(logits)
        target = target.to(logits.dtype)
        p = torch.sigmoid(logits).clamp(CLIP, 1 - CLIP)
        if pairing == "all":
            target = target[None]  # (1, B, C, T), against (B, 1, C, T)
            p = p[:, None]
        else:
            target, p = target[:, None], p[:, None]  # (B, 1, C, T)
        positive = target == 1
        hit = torch.where(positive, (1 - p) ** 2 * p.log(), 0)
        miss = torch.where(positive, 0, (1 - target) ** 4 * p**2 * (1 - p).log())
        count = positive.sum((1, 2, 3)).clamp(min=1)
        return (-(hit + miss).sum((1, 2, 3)) / count).mean()
