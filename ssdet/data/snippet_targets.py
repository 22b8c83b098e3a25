"""What a network of snippets is to say of a labelled video.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, section 5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

NEARLY = 1e-9  # snippets; a segment that ends on a border does not touch the next one


class Block(NamedTuple):
    """An action in snippets [start, end), of a class."""

    start: int
    end: int
    label: int


class SnippetTargets(NamedTuple):
    """Targets of one video.

    Attributes:
        classes: (T,) int64, in 0..K; K is background.
        mask: (T, T), 1 where some action holds both snippets, else 0.
    """

    classes: Tensor
    mask: Tensor


def block_of(
    start: float,
    end: float,
    label: int,
    snippets: int,
    compat: Literal["fixed", "reference"] = "fixed",
) -> Block | None:
    """The snippets of an action.

    Args:
        start: as a share of the covered time, may lie outside [0, 1].
        end: likewise.
        label: its class.
        snippets: T.
        compat: `fixed` takes every snippet that the action touches; `reference` leaves
            out the first and the last one, and so whole short actions.

    Returns:
        Its snippets; None if there are none.
    """
    start, end = min(max(start, 0.0), 1.0), min(max(end, 0.0), 1.0)
    if compat == "reference":
        first, stop = math.floor(snippets * start) + 1, math.floor(snippets * end) - 1
    elif end <= start:
        return None
    else:
        first = min(math.floor(snippets * start + NEARLY), snippets - 1)
        stop = max(math.ceil(snippets * end - NEARLY), first + 1)
        stop = min(stop, snippets)
    return Block(first, stop, label) if stop > first else None


def targets_of(
    blocks: Sequence[Block],
    classes: int,
    snippets: int,
    compat: Literal["fixed", "reference"] = "fixed",
) -> SnippetTargets:
    """Paint the blocks of a video.

    Args:
        blocks: in the order of the annotation.
        classes: K, without background.
        snippets: T.
        compat: where blocks overlap, the shorter one has the snippet (`fixed`, so that
            short actions survive), or the later one (`reference`).
    """
    line = torch.full((snippets,), classes)
    mask = torch.zeros(snippets, snippets)
    order = list(blocks)
    if compat == "fixed":
        order.sort(key=lambda block: block.start - block.end)  # longest first
    for block in order:
        line[block.start : block.end] = block.label
        mask[block.start : block.end, block.start : block.end] = 1
    return SnippetTargets(line, mask)


def class_mask(
    blocks: Sequence[Block],
    classes: int,
    snippets: int,
    compat: Literal["fixed", "reference"] = "fixed",
) -> Tensor:
    """Where each class happens; classes may overlap.

    Args:
        blocks: in the order of the annotation.
        classes: K, without background.
        snippets: T.
        compat: `reference` gives a block all that came before it as well.

    Returns:
        (K + 1, T) of 0 and 1; the last row is background.
    """
    rows = torch.zeros(classes + 1, snippets)
    so_far = torch.zeros(snippets)
    for block in blocks:
        so_far[block.start : block.end] = 1
        if compat == "reference":
            rows[block.label] = so_far
        else:
            rows[block.label, block.start : block.end] = 1
    rows[classes] = 1 - so_far
    return rows
