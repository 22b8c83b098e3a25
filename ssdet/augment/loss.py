"""Cross-entropy and accuracy of per-frame logits against soft labels.

Source: spec of SSDet, section 3.8 (released code of Kahatapitiya et al., AAAI 2023).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ssdet.augment.soft_labels import SoftLabels


def augmented_loss(
    logits: Tensor,
    labels: SoftLabels,
    normalisation: Literal["visible", "mean"],
    groups: int = 1,
) -> Tensor:
    """Softmax cross-entropy of every frame with every source, weighted.

    The mean over groups of clips, clip i in group i mod `groups`: what the released
    program had on each GPU.

    Args:
        logits: (B, K, T).
        labels: of the same B and T.
        normalisation: divide a source's sum by the frames in which it is visible
            ("visible", as released, and what the rate was tuned for), or by all frames
            ("mean").
        groups: divides B.

    Returns:
        Scalar, of the logits' type but at least float32; 0 where nothing has weight.

    Raises:
        ValueError: `labels` has another B or T than `logits`.
    """
    _check_shapes(logits, labels)
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    picked = logits.gather(1, labels.labels.transpose(0, 1))  # (B, M, T)
    entropy = logits.logsumexp(1, keepdim=True) - picked
    clips = (labels.weights.transpose(0, 1) * entropy).sum(2)  # (B, M)
    if normalisation == "mean":
        return clips.sum() / labels.labels[0].numel()
    sums = clips.unflatten(0, (-1, groups)).sum(0)  # (groups, M)
    frames = labels.visible.sum(2).T.unflatten(0, (-1, groups)).sum(0)
    return (sums / frames.clamp(min=1)).sum(1).mean()


def soft_accuracy(logits: Tensor, labels: SoftLabels) -> Tensor:
    """Mean over frames of the weight of the class that has the highest logit.

    Args:
        logits: (B, K, T).
        labels: of the same B and T.

    Returns:
        Scalar in [0, 1].

    Raises:
        ValueError: `labels` has another B or T than `logits`.
    """
    _check_shapes(logits, labels)
    hits = labels.labels == logits.argmax(1)  # (M, B, T)
    return (labels.weights * hits).sum() / labels.labels[0].numel()


def _check_shapes(logits: Tensor, labels: SoftLabels) -> None:
    expected = (logits.shape[0], logits.shape[2])
    if tuple(labels.labels.shape[1:]) != expected:
        raise ValueError(
            f"labels must be (M, B, T) with B={expected[0]}, T={expected[1]} like"
            f" logits, got {tuple(labels.labels.shape)}"
        )
