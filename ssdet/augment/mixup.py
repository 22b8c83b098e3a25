"""Volume MixUp: one clip fades into another, and so do their labels.

Source: Kahatapitiya et al., AAAI 2023 (arXiv:2111.13675), "Volume MixUp".
"""

from __future__ import annotations

import torch
from torch import Tensor

from ssdet.augment.frames import take_frames
from ssdet.augment.pairs import PairDraw, overlay
from ssdet.augment.soft_labels import SoftLabels, join, of_partner, take_label_frames


def volume_mixup(
    video: Tensor,
    labels: SoftLabels,
    draw: PairDraw,
    *,
    covering: bool,
    shift: bool,
    symmetric: bool,
) -> tuple[Tensor, SoftLabels]:
    """Add each clip and its partner, weighted frame by frame.

    Args:
        video: (B, C, T, H, W), floating point.
        labels: of these clips, M sources.
        draw: partners and intervals.
        covering: stretch the intervals over the whole clip; without it, frames inside
            neither are black (zero) and have no weight.
        shift: a clip begins with its own first frame where its interval begins, as in
            the paper; else both keep their own time, as in the released code.
        symmetric: see `pairs.overlay`.

    Returns:
        New video, and labels with 2M sources.
    """
    frames = video.shape[2]
    pair = overlay(draw, frames, covering, symmetric)
    own, other = labels, of_partner(labels, draw.partner)
    if shift:
        t = torch.arange(frames, device=video.device)
        shifted = (t - pair.start[..., None]).clamp(min=0)  # (2, B, T)
        mixed = take_frames(video, draw.partner, shifted[1])
        video = take_frames(video, None, shifted[0])
        own = take_label_frames(own, shifted[0])
        other = take_label_frames(other, shifted[1])
    else:
        mixed = take_frames(video, draw.partner, None)
    weights = pair.weights  # (2, B, T)
    blend(mixed, video, weights[0][:, None, :, None, None])
    if not covering:
        black_out(mixed, pair.visible.any(0)[:, None, :, None, None])
    return mixed, join(own, other, weights, pair.visible)


def blend(partner: Tensor, own: Tensor, share: Tensor) -> None:
    """Turn `partner` into `share` of `own` and the rest of itself, in place.

    One pass over the batch. Exact where the share is 0 or 1, or both are equal.
    """
    partner.lerp_(own, share.to(partner.dtype))


def black_out(video: Tensor, seen: Tensor) -> None:
    """Set what is not seen to zero, in place; `seen` broadcasts to `video`."""
    video.mul_(seen)
