"""Random foreground: cut a stretch out of a video, and ask where it was.

The pretext tasks of SPOT need no labels. The mask branch is to find the stretches that
are left of the features; the order head is to put shuffled blocks back.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, section 7.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHORTEST = 0.05  # of T: shorter spans are lengthened by as much at both ends
LATEST_START = 0.94  # of T


def draw_spans(snippets: int, count: int, source: torch.Generator) -> Tensor:
    """Draw stretches of a video, from very short to nearly all of it.

    Args:
        snippets: T, at least 2.
        count: how many.
        source: of the draws.

    Returns:
        (count, 2), start and end [s, e) of each; they may overlap.
    """
    least = max(1, round(SHORTEST * snippets))
    spans = torch.empty(count, 2, dtype=torch.long)
    for span in spans:
        latest = max(1, round(LATEST_START * snippets))
        start = int(torch.randint(latest, (), generator=source))
        end = int(torch.randint(start, snippets, (), generator=source))
        if end - start < least:
            start, end = start - least, end + least
        span[0], span[1] = max(start, 0), min(end, snippets - 1)
    return spans


def span_lines(spans: Tensor, snippets: int) -> Tensor:
    """Snippets (B, n, T) inside each of spans (B, n, 2); an empty span holds none."""
    t = torch.arange(snippets, device=spans.device)
    return (spans[..., :1] <= t) & (t < spans[..., 1:])


def crop(features: Tensor, spans: Tensor) -> Tensor:
    """Zero all snippets (B, C, T) outside the spans (B, n, 2)."""
    inside = span_lines(spans, features.shape[2]).any(1, keepdim=True)  # (B, 1, T)
    return features * inside


def normalise(features: Tensor) -> Tensor:
    """Bring each channel of (B, C, T) to [0, 1] over time; a constant one becomes 0."""
    low = features.amin(2, keepdim=True)
    width = features.amax(2, keepdim=True) - low
    return (features - low) / width.where(width > 0, torch.ones_like(width))


def span_mask(spans: Tensor, snippets: int, merge: bool) -> Tensor:
    """The mask that the branch is to draw of the cropped video.

    Args:
        spans: (B, n, 2).
        snippets: T.
        merge: spans that touch or overlap count as one, because where they meet cannot
            be seen in the cropped video; False: as published, a square for each.

    Returns:
        (B, T, T) of 0 and 1.
    """
    lines = span_lines(spans, snippets)
    if merge:
        # ASSUME: merging; published masks cannot be told from the crop
        line = lines.any(1)
        gaps = (~line).cumsum(1)  # the same on all snippets of a run
        same = gaps[:, :, None] == gaps[:, None, :]
        return (same & line[:, :, None] & line[:, None, :]).float()
    return (lines[..., :, None] & lines[..., None, :]).any(1).float()


def draw_order(blocks: int, source: torch.Generator) -> Tensor:
    """Draw an order of blocks (N,): place -> which block comes there."""
    return torch.randperm(blocks, generator=source)


def shuffle(features: Tensor, orders: Tensor) -> tuple[Tensor, Tensor]:
    """Put the equal blocks of each video into another order.

    Args:
        features: (B, C, T).
        orders: (B, N), place -> block; N divides T.

    Returns:
        The features, and the block (B, T) that each snippet comes from.

    Raises:
        ValueError: N does not divide T.
    """
    snippets, blocks = features.shape[2], orders.shape[1]
    if snippets % blocks:
        raise ValueError(f"{snippets} snippets do not make {blocks} equal blocks")
    size = snippets // blocks
    origin = orders.repeat_interleave(size, dim=1)  # (B, T)
    within = torch.arange(snippets, device=features.device) % size
    source = (origin * size + within)[:, None].expand_as(features)
    return features.gather(2, source), origin
