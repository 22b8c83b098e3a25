"""Two clips laid over each other in time: partners, intervals, fading weights.

Used by Volume MixUp and by the Transient Window of Volume CutMix.

Source: Kahatapitiya et al., AAAI 2023 (arXiv:2111.13675), "Volume MixUp"; released code
where it differs (spec of SSDet, section 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ssdet.augment.random_integers import uniform_integers


@dataclass(frozen=True)
class PairDraw:
    """A partner for each clip, and when the two are seen.

    Attributes:
        partner: (B,) int64, clip of the same batch; may be the clip itself.
        start: (2, B) int64, first frame in which the clip and its partner are seen.
        length: (2, B) int64, frames for which they are seen.
    """

    partner: Tensor
    start: Tensor
    length: Tensor


@dataclass(frozen=True)
class Overlay:
    """When two clips are seen and the share of each, as exact fractions.

    Attributes:
        start: (2, B) int64, first frame of each clip's interval.
        visible: (2, B, T) bool, frames inside the intervals.
        parts: (2, B, T) int64, share of each clip in `whole`; 0 where it is not seen.
        whole: (B, 1) int64, at least 1.
    """

    start: Tensor
    visible: Tensor
    parts: Tensor
    whole: Tensor

    @property
    def weights(self) -> Tensor:
        """Share of each clip, (2, B, T) float32 in [0, 1]."""
        return self.parts / self.whole


def draw_partner(batch: int, generator: torch.Generator, groups: int = 1) -> Tensor:
    """Draw each clip's partner (B,): a random permutation of every group.

    Clip i belongs to group i mod `groups`.
    """
    size = batch // groups
    members = [
        torch.randperm(size, generator=generator) * groups + group
        for group in range(groups)
    ]
    return torch.stack(members, 1).flatten()  # (B,)


def draw_pair(
    batch: int, frames: int, generator: torch.Generator, groups: int = 1
) -> PairDraw:
    """Draw partners, lengths uniform in T/2 .. T, and starts uniform where they fit.

    For odd T half is rounded up, so that the covering rule can always cover the clip.
    """
    partner = draw_partner(batch, generator, groups)
    shortest = (frames + 1) // 2
    length = torch.randint(shortest, frames + 1, (2, batch), generator=generator)
    start = uniform_integers(frames - length + 1, generator)
    return PairDraw(partner, start, length)


def intervals(
    start: Tensor, length: Tensor, frames: int, covering: bool
) -> tuple[Tensor, Tensor]:
    """Begin and end (exclusive) of what is seen of two clips.

    Args:
        start: (2, B), as drawn.
        length: (2, B), as drawn.
        frames: T.
        covering: let the clip that starts first start at 0, keeping its length; then
            let the one that ends last end at T. Ties go to the first clip.

    Returns:
        Two tensors (2, B) int64.
    """
    if not covering:
        return start, start + length
    leads = start[0] <= start[1]  # (B,)
    start = start.masked_fill(torch.stack([leads, ~leads]), 0)
    end = start + length
    lasts = end[0] >= end[1]
    return start, end.masked_fill(torch.stack([lasts, ~lasts]), frames)


def overlay(draw: PairDraw, frames: int, covering: bool, symmetric: bool) -> Overlay:
    """Fade two clips into each other where both are seen.

    A clip that is seen alone has weight 1. On an overlap of n frames the weights are
    multiples of 1 / (n + 1): a ramp from the clip that begins first to the one that
    ends last, or a V if one lies inside the other.

    Args:
        draw: intervals as drawn.
        frames: T.
        covering: see `intervals`.
        symmetric: centre the V on the overlap; the released code has it half a frame
            early.
    """
    start, end = intervals(draw.start, draw.length, frames, covering)  # (2, B)
    t = torch.arange(frames, device=start.device)  # (T,)
    visible = (start[..., None] <= t) & (t < end[..., None])  # (2, B, T)
    low, high = start.amax(0)[:, None], end.amin(0)[:, None]  # (B, 1)
    whole = (high - low).clamp(min=0) + 1
    ramp = t + 1 - low  # (B, T)
    vee = (2 * (t + 1) - low - high - int(symmetric)).abs()
    first_leads, second_lasts = (start[0] < start[1]), (end[0] < end[1])
    curve = torch.where((first_leads != second_lasts)[:, None], vee, ramp)
    first = torch.where(second_lasts[:, None], whole - curve, curve)  # of clip 1
    both = torch.stack([first, whole - first])  # (2, B, T)
    parts = torch.where(visible.all(0), both, visible * whole)
    return Overlay(start, visible, parts, whole)
