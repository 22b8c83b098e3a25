"""Volume CutMix: two clips side by side, behind a border that moves or rests.

Transient Window: the border between the clips sweeps over the frame while one takes
over from the other. Transient View: the border rests, and both contents slide.

Source: Kahatapitiya et al., AAAI 2023 (arXiv:2111.13675), "Volume CutMix"; sizes of
windows and of the smooth zone from the released code (spec of SSDet, 3.6 and 3.7).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ssdet.augment.frames import take_columns, take_frames
from ssdet.augment.mixup import black_out, blend
from ssdet.augment.pairs import Overlay, PairDraw, overlay
from ssdet.augment.soft_labels import SoftLabels, join, of_partner


@dataclass(frozen=True)
class ViewDraw:
    """Transient View.

    Attributes:
        partner: (B,) int64, clip of the same batch; may be the clip itself.
        slides: (B,) bool, whether the contents move.
    """

    partner: Tensor
    slides: Tensor


def second_mask(begin: Tensor, end: Tensor, unit: Tensor, width: int) -> Tensor:
    """Share of the second clip in each column: 0, a linear ramp, then 1.

    Positions are whole numbers of a fraction of a column, so that every device decides
    alike whether a column lies behind a border.

    Args:
        begin: (...,) where the second clip begins, in parts of a column.
        end: (...,) where the first clip ends, in parts of a column.
        unit: (...,) parts that make a column.
        width: W, in columns.

    Returns:
        (..., W) float32 in [0, 1].
    """
    begin, end, unit = begin[..., None], end[..., None], unit[..., None]
    left = torch.arange(width, device=begin.device) * unit  # edge of each column
    ramp = (left + unit - begin) / ((end - begin).clamp(min=0) + unit)
    return ramp.clamp(max=1.0) * (left >= begin)


def window_mask(pair: Overlay, width: int) -> Tensor:
    """Share of the second clip in each column of a Transient Window.

    Where both are seen a clip is as wide as its weight says, plus a margin of W/16,
    inside which the two fade into each other.

    Args:
        pair: intervals and weights.
        width: W.

    Returns:
        (B, T, W) float32 in [0, 1]; frames that show nothing have 0.
    """
    full = width * pair.whole  # (B, 1), in parts of a column
    margin = width // 16 * pair.whole
    reach = (width * pair.parts + margin).minimum(full)  # (2, B, T)
    reach = torch.where(pair.visible.all(0), reach, full * pair.visible)
    return second_mask(full - reach[1], reach[0], pair.whole, width)


def transient_window(
    video: Tensor,
    labels: SoftLabels,
    draw: PairDraw,
    *,
    covering: bool,
    symmetric: bool,
) -> tuple[Tensor, SoftLabels]:
    """Let a border sweep over the frame where both clips are seen; else show one.

    The clip is always on the left and its partner on the right.

    Args:
        video: (B, C, T, H, W), floating point.
        labels: of these clips, M sources.
        draw: partners and intervals.
        covering: stretch the intervals over the whole clip; without it, frames inside
            neither are black (zero) and have no weight.
        symmetric: see `pairs.overlay`.

    Returns:
        New video, and labels with 2M sources: a clip's weight is its share of the
        frame's area.
    """
    pair = overlay(draw, video.shape[2], covering, symmetric)
    second = window_mask(pair, video.shape[4])  # (B, T, W)
    mixed = take_frames(video, draw.partner, None)
    blend(mixed, video, (1 - second)[:, None, :, None, :])
    if not covering:
        black_out(mixed, pair.visible.any(0)[:, None, :, None, None])
    area = second.mean(2)  # (B, T)
    areas = torch.stack([1 - area, area]) * pair.visible  # (2, B, T)
    partner = of_partner(labels, draw.partner)
    return mixed, join(labels, partner, areas, pair.visible)


def view_borders(width: int) -> tuple[int, int]:
    """Column at which the second clip's window begins, and at which the first's ends.

    Each window is 9/16 of the width; on maps too narrow for that each clip has half.
    """
    reach = 9 * width // 16
    if 2 * reach < width:
        return (width + 1) // 2, (width + 1) // 2
    return width - reach, reach


def view_shift(frames: int, width: int, device: torch.device) -> Tensor:
    """Columns by which contents have moved in each frame, (T,); 7/16 of W after T."""
    t = torch.arange(frames, device=device)
    return t * (7 * width // 16) // frames


def transient_view(
    video: Tensor, labels: SoftLabels, draw: ViewDraw
) -> tuple[Tensor, SoftLabels]:
    """Show each clip on the left, its partner on the right, sliding apart or together.

    The clip's content moves left behind its window, its partner's moves right.

    Args:
        video: (B, C, T, H, W), floating point.
        labels: of these clips, M sources.
        draw: partners, and which clips slide.

    Returns:
        New video, and labels with 2M sources, weighted by area: half each, if the width
        is even.
    """
    batch, _, frames, _, width = video.shape
    begin, end = view_borders(width)
    shift = view_shift(frames, width, video.device) * draw.slides[:, None]  # (B, T)
    clips = torch.arange(batch, device=video.device)
    borders = torch.tensor([begin, end, 1]).to(video.device, non_blocking=True)
    second = second_mask(borders[0], borders[1], borders[2], width)  # (W,)

    rows = video[..., 0].numel()  # B * C * T * H
    mixed, between = video.new_empty(rows, width), video.new_empty(rows, end - begin)
    take_columns(video, draw.partner, begin - shift, mixed[:, begin:])
    take_columns(video, clips, begin + shift, between)
    blend(mixed[:, begin:end], between, (1 - second)[begin:end])
    take_columns(video, clips, shift, mixed[:, :begin])

    area = second.mean()
    areas = torch.stack([1 - area, area])[:, None, None]  # (2, 1, 1)
    partner = of_partner(labels, draw.partner)
    seen = torch.ones(2, 1, 1, dtype=torch.bool, device=video.device)
    return mixed.view(video.shape), join(labels, partner, areas, seen)
