"""Scores at any time, from scores at the clip rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


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
