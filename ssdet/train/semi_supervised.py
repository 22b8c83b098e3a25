"""The loss of SPOT's training: labels where there are any, the teacher's elsewhere.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, section 9.3.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ssdet.augment.snippet_views import (
    StrongView,
    draw_view,
    drop_elements,
    drop_snippets,
    strong,
)
from ssdet.config import SpotLosses, SpotTrain
from ssdet.models.spot import Spot, SpotOutput
from ssdet.train.boundary_contrast import boundary_contrast, counts_for, mine
from ssdet.train.pseudo_labels import PseudoLabels, flip_labels, pseudo_labels
from ssdet.train.spot_losses import class_loss, mask_loss, reconstruction_loss


class Labelled(NamedTuple):
    """A batch of videos with labels: (B, inputs, T), (B, T) and (B, T, T)."""

    features: Tensor
    classes: Tensor
    mask: Tensor


class SemiLoss(NamedTuple):
    """The terms, without their weights, and the weighted sum."""

    supervised: Tensor
    pseudo: Tensor
    reconstruction: Tensor
    contrast: Tensor
    total: Tensor


def teach(
    teacher: nn.Module,
    features: Tensor,
    view: StrongView,
    cfg: SpotTrain,
    source: torch.Generator,
) -> PseudoLabels:
    """Label videos for the strong view that the student will see.

    Args:
        teacher: in evaluation mode; sees a weak view.
        features: (B, inputs, T).
        view: of the student.
        cfg: thresholds, and the weak view.
        source: of the weak view.
    """
    with torch.no_grad():
        seen: SpotOutput = teacher(drop_elements(features, cfg.weak_dropout, source))
    found = pseudo_labels(seen.logits, seen.mask, cfg.sure_class, cfg.sure_mask)
    return flip_labels(found, view.flip)


def semi_loss(
    student: Spot,
    teacher: nn.Module,
    labelled: Labelled,
    unlabelled: Tensor | None,
    pseudo_weight: float,
    cfg: SpotTrain,
    losses: SpotLosses,
    source: torch.Generator,
) -> SemiLoss:
    """Loss of a labelled and an unlabelled batch.

    Args:
        student: in training mode.
        teacher: in evaluation mode, has no gradient.
        labelled: videos with labels.
        unlabelled: (B_u, inputs, T); None: all videos have labels.
        pseudo_weight: of the teacher's labels now; see `ramp_up`.
        cfg: thresholds and views.
        losses: weights.
        source: of all draws.
    """
    out = student(labelled.features)
    supervised = supervised_loss(out, labelled.classes, labelled.mask, losses)
    restored, drawn_to = _unsupervised(student, labelled.features, out, losses, source)
    pseudo = torch.zeros_like(supervised)
    if unlabelled is not None:
        view = draw_view(
            len(unlabelled),
            unlabelled.shape[1],
            cfg.flip,
            cfg.shift_divisor,
            cfg.drop_shifted,
            cfg.drop_flipped,
            source,
        )
        labels = teach(teacher, unlabelled, view, cfg, source)
        out = student(strong(unlabelled, view))
        pseudo = supervised_loss(
            out,
            labels.classes,
            labels.mask,
            losses,
            (labels.kept_snippets, labels.kept_cells),
        )
        more = _unsupervised(student, unlabelled, out, losses, source)
        restored, drawn_to = restored + more[0], drawn_to + more[1]
    total = (
        supervised
        + pseudo_weight * pseudo
        + losses.reconstruction * restored
        + losses.contrast * drawn_to
    )
    return SemiLoss(supervised, pseudo, restored, drawn_to, total)


def supervised_loss(
    out: SpotOutput,
    classes: Tensor,
    mask: Tensor,
    losses: SpotLosses,
    kept: tuple[Tensor | None, Tensor | None] = (None, None),
) -> Tensor:
    """Loss of the two branches.

    Args:
        out: of the network.
        classes: (B, T), in 0..K.
        mask: (B, T, T), 0 or 1.
        losses: weights.
        kept: (B, T) and (B, T, T) bool, what of them counts; None: all.
    """
    named = class_loss(out.logits, classes, kept[0], losses.focal)
    drawn = mask_loss(out.mask, mask, kept[1], entropy_share=losses.entropy_share)
    return losses.class_weight * named + drawn


def _unsupervised(
    student: Spot,
    features: Tensor,
    out: SpotOutput,
    losses: SpotLosses,
    source: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Reconstruction of the clean features, and contrast at the boundaries."""
    spoiled = drop_snippets(features, losses.drop_snippets, source)
    target = student.project(features).detach()
    restored = reconstruction_loss(student.embed(spoiled), target)
    batch, _, snippets = features.shape
    seen = torch.rand(batch, snippets, generator=source) >= losses.hide_easy
    seen = seen.to(features.device, non_blocking=True)
    mined = mine(out.logits, out.mask, counts_for(snippets), seen)
    return restored, boundary_contrast(out.embedded, mined, losses.temperature).total
