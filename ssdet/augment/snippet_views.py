"""Views of a video's features: the teacher sees a weak one, the student a strong one.

Source: Wang et al., SSTAP, CVPR 2021; spec of SPOT, section 9.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class StrongView:
    """What is done to each video of a batch.

    Attributes:
        flip: (B,) bool, time runs backwards; the others are shifted.
        earlier: (B, C) bool, channels that move one snippet earlier.
        later: (B, C) bool, channels that move one snippet later.
        scale: (B, C), 0 for dropped channels, and what makes up for them.
    """

    flip: Tensor
    earlier: Tensor
    later: Tensor
    scale: Tensor


def draw_view(
    batch: int,
    channels: int,
    flip: float,
    shift_divisor: int,
    drop_shifted: float,
    drop_flipped: float,
    source: torch.Generator,
) -> StrongView:
    """Draw the strong views of a batch.

    Args:
        batch: B.
        channels: C.
        flip: probability that a video is flipped, not shifted.
        shift_divisor: of C channels, C // shift_divisor move earlier and as many later.
        drop_shifted: probability that a channel of a shifted video is dropped.
        drop_flipped: likewise, flipped.
        source: of the draws.
    """
    # ASSUME: each video draws for itself
    flipped = torch.rand(batch, generator=source) < flip
    count = channels // shift_divisor
    rank = torch.rand(batch, channels, generator=source).argsort(1).argsort(1)
    share = torch.where(flipped, drop_flipped, drop_shifted)[:, None]
    kept = torch.rand(batch, channels, generator=source) >= share
    moves = ~flipped[:, None]
    return StrongView(
        flipped,
        (rank < count) & moves,
        (rank >= count) & (rank < 2 * count) & moves,
        kept / (1 - share),
    )


def strong(features: Tensor, view: StrongView) -> Tensor:
    """Apply a strong view to features (B, C, T); what moves in from outside is zero."""
    earlier = torch.zeros_like(features)
    earlier[..., :-1] = features[..., 1:]
    later = torch.zeros_like(features)
    later[..., 1:] = features[..., :-1]
    device = features.device
    out = features.where(
        ~view.earlier.to(device, non_blocking=True)[..., None], earlier
    )
    out = out.where(~view.later.to(device, non_blocking=True)[..., None], later)
    out = flip_time(out, view.flip)
    return out * view.scale.to(out, non_blocking=True)[..., None]


def flip_time(x: Tensor, flip: Tensor, *more: int) -> Tensor:
    """Reverse the last axis, and `more`, of the items where `flip` (B,) is set."""
    chosen = flip.to(x.device, non_blocking=True).view(-1, *(1 for _ in x.shape[1:]))
    return torch.where(chosen, x.flip(-1, *more), x)


def drop_elements(features: Tensor, share: float, source: torch.Generator) -> Tensor:
    """The weak view: zero single numbers, and make up for them."""
    kept = torch.rand(features.shape, generator=source) >= share
    return features * kept.to(features.device, non_blocking=True) / (1 - share)


def drop_snippets(features: Tensor, share: float, source: torch.Generator) -> Tensor:
    """Zero whole snippets of (B, C, T), and make up for them."""
    batch, _, snippets = features.shape
    kept = torch.rand(batch, 1, snippets, generator=source) >= share
    return features * kept.to(features.device, non_blocking=True) / (1 - share)
