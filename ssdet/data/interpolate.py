"""Logits at any time, from logits at the clip rates of one or more models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Stream:
    """Logits of one video at one clip rate, and their share of the ensemble.

    Attributes:
        logits: (T, K).
        times_s: (T,), rising.
        weight: share of the members that these logits are the mean of.
    """

    logits: Array
    times_s: Array
    weight: float = 1.0


def average(
    streams: Sequence[Stream], at_s: Array, columns: slice = slice(None)
) -> npt.NDArray[np.float64]:
    """Weighted mean (N, K) of the streams' logits at times (N,), of some columns."""
    parts = [
        s.weight * interpolate(s.logits[:, columns], s.times_s, at_s) for s in streams
    ]
    return np.sum(parts, axis=0)


def interpolate(
    logits: npt.ArrayLike, times_s: npt.ArrayLike, at_s: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Interpolate linearly in time; outside the rows' times the nearest row holds.

    Logits are interpolated, and turned into probabilities afterwards if at all.

    Args:
        logits: (T, K), T at least 1.
        times_s: (T,), rising, in seconds.
        at_s: (N,), in seconds.

    Returns:
        (N, K), computed in float64.

    Source: ssdet, section 4 (test); coarse_fine, section 9.
    """
    logits = np.asarray(logits)
    lower, share = _places(np.asarray(times_s), np.asarray(at_s))
    upper = np.minimum(lower + 1, len(logits) - 1)
    start = logits[lower].astype(np.float64)  # (N, K)
    return start + share[:, None] * (logits[upper] - start)


def _places(times_s: Array, at_s: Array) -> tuple[Array, Array]:
    """Row before each time, and the share of the way to the next row: both (N,)."""
    lower = np.clip(np.searchsorted(times_s, at_s, "right") - 1, 0, None)
    upper = np.minimum(lower + 1, len(times_s) - 1)
    span = times_s[upper] - times_s[lower]
    share = (at_s - times_s[lower]) / np.where(span > 0, span, 1.0)
    return lower, np.where(span > 0, np.clip(share, 0.0, 1.0), 0.0)
