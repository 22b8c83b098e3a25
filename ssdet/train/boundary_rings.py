"""Rings around the borders of binary maps: just inside and just outside.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, section 8.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F


class Rings(NamedTuple):
    """Bool maps: the belt inside the borders, and the belt outside."""

    inner: Tensor
    outer: Tensor


def rings(binary: Tensor, small: int, large: int, axes: int = 1) -> Rings:
    """The belts between a small and a large erosion, and dilation.

    The window of entry i reaches from i - k // 2 to i + (k - 1) // 2; outside is zero.

    Args:
        binary: bool, with the axes of the map last.
        small: width of the small window, in entries.
        large: of the large one, at least `small`.
        axes: how many axes the map has.
    """
    inner = erode(binary, small, axes) & ~erode(binary, large, axes)
    outer = dilate(binary, large, axes) & ~dilate(binary, small, axes)
    return Rings(inner, outer)


def erode(binary: Tensor, size: int, axes: int = 1) -> Tensor:
    """Keep entries whose window is all set."""
    for axis in range(-axes, 0):
        binary = _windows(binary, size, axis).all(-1)
    return binary


def dilate(binary: Tensor, size: int, axes: int = 1) -> Tensor:
    """Set entries whose window has any set."""
    for axis in range(-axes, 0):
        binary = _windows(binary, size, axis).any(-1)
    return binary


def above_median(x: Tensor, first_axis: int) -> Tensor:
    """Entries at or above the (lower) median over `first_axis` and all after it."""
    flat = x.flatten(first_axis)
    return (flat >= flat.median(-1, keepdim=True).values).view(x.shape)


def _windows(binary: Tensor, size: int, axis: int) -> Tensor:
    """Each entry's window along an axis, as one more axis at the end."""
    moved = binary.movedim(axis, -1)
    padded = F.pad(moved, (size // 2, (size - 1) // 2))
    return padded.unfold(-1, size, 1).movedim(-2, axis - 1)
