"""Labels of augmented clips: several sources, each with weights and visibility.

A clip made of two others carries the labels of both. Sources lie on an axis M of their
own: M is 1 at first, and doubles with MixUp and again with CutMix (own sources first,
then the partner's).

Source: spec of SSDet, section 3.8.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SoftLabels:
    """What each frame of a batch shows, and how much of it.

    Attributes:
        labels: (M, B, T) int64, class of a source in a frame.
        weights: (M, B, T) float, its share of the frame, in [0, 1].
        visible: (M, B, T) bool, whether the source counts as present in the frame; its
            weight there may still be 0, where a fade begins.
    """

    labels: Tensor
    weights: Tensor
    visible: Tensor


def hard_labels(labels: Tensor, frames: int) -> SoftLabels:
    """Labels of clips that nothing was done to.

    Args:
        labels: (B,) int64, one class for each clip.
        frames: T.

    Returns:
        One source: the clip's class in every frame, with weight 1.
    """
    spread = labels[None, :, None].expand(1, -1, frames)  # (1, B, T)
    return SoftLabels(
        spread,
        torch.ones(spread.shape, device=labels.device),
        torch.ones(spread.shape, dtype=torch.bool, device=labels.device),
    )


def label_rows(shown: Tensor, background: bool) -> tuple[Tensor, Tensor]:
    """What each frame of a clip shows, as sources with weights that sum to 1.

    Args:
        shown: (T, K), 1 where a frame shows a class.
        background: whether frames that show none are of class 0, and the others of one
            more than their number; else such frames have no label.

    Returns:
        Classes (M, T) int64 and weights (M, T), M the most classes in a frame, at least
        1. Classes of a frame stand in rising order; those it lacks have weight 0.
    """
    on = shown.bool()
    counts = on.sum(1)  # (T,)
    most = max(1, int(counts.max()))
    order = torch.argsort(~on, dim=1, stable=True)[:, :most].T  # (M, T)
    there = torch.arange(most)[:, None] < counts  # (M, T)
    labels = torch.where(there, order + int(background), 0)
    weights = there / counts.clamp(min=1)
    if background:
        weights[0] = torch.where(counts == 0, 1.0, weights[0])
    return labels, weights


def stacked_labels(labels: Tensor, weights: Tensor) -> SoftLabels:
    """Labels of a batch of clips, from the sources of each.

    A frame that has any label counts as visible for all sources: the loss is then the
    mean over these frames, as with one label.

    Args:
        labels: (B, M, T) int64, of `label_rows`; missing sources have weight 0.
        weights: (B, M, T).
    """
    visible = (weights > 0).any(1, keepdim=True).expand_as(weights)
    return SoftLabels(
        labels.transpose(0, 1), weights.transpose(0, 1), visible.transpose(0, 1)
    )


def take_label_frames(labels: SoftLabels, frames: Tensor) -> SoftLabels:
    """Reorder labels in time: frame t of clip b takes those of frame `frames[b, t]`."""
    index = frames.expand_as(labels.labels)
    return SoftLabels(
        labels.labels.gather(2, index),
        labels.weights.gather(2, index),
        labels.visible.gather(2, index),
    )


def join(
    own: SoftLabels, other: SoftLabels, weights: Tensor, visible: Tensor
) -> SoftLabels:
    """Labels of clips made of two: sources of both, weights and visibility multiplied.

    Args:
        own: M sources of the first clips.
        other: M sources of the second clips.
        weights: share of the first and second clip; broadcasts to (2, B, T).
        visible: whether each is present; broadcasts to (2, B, T).

    Returns:
        2M sources, the first clips' before the second's.
    """
    return SoftLabels(
        torch.cat([own.labels, other.labels]),
        torch.cat([own.weights * weights[0], other.weights * weights[1]]),
        torch.cat([own.visible & visible[0], other.visible & visible[1]]),
    )


def of_partner(labels: SoftLabels, partner: Tensor) -> SoftLabels:
    """The labels of each clip's partner (B,)."""
    return SoftLabels(
        labels.labels[:, partner],
        labels.weights[:, partner],
        labels.visible[:, partner],
    )
