"""Segments from what SPOT says of a video's snippets.

Source: spec of SPOT, section 9.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Candidate(NamedTuple):
    """A segment [start, end), as shares of the covered time, with class and score."""

    start: float
    end: float
    score: float
    label: int


def decode(
    logits: Array,
    mask: Array,
    top_snippets: int,
    thresholds: Sequence[float],
    shortest: int,
) -> list[Candidate]:
    """Read the masks of the snippets that are most surely action.

    Args:
        logits: (K + 1, T), the last row is background.
        mask: (T, T) in [0, 1], row by time.
        top_snippets: how many snippets to look at.
        thresholds: of the mask; each gives the stretch that holds the snippet.
        shortest: stretches of fewer snippets are left out.

    Returns:
        The best of each (segment, class), highest score first.
    """
    snippets = mask.shape[1]
    action = probabilities(logits)[:-1]  # (K, T)
    best = action.max(0)
    scores: dict[tuple[int, int, int], float] = {}
    for i in top(best, top_snippets):
        label = int(action[:, i].argmax())
        for threshold in thresholds:
            if mask[i, i] <= threshold:
                continue
            start, end = stretch_around(mask[i] > threshold, i)
            if end - start < shortest:
                continue
            key = (start, end, label)
            score = float(best[i] * mask[i, start:end].mean())
            scores[key] = max(score, scores.get(key, 0.0))
    found = [
        Candidate(start / snippets, end / snippets, score, label)
        for (start, end, label), score in scores.items()
    ]
    return sorted(found, key=lambda candidate: -candidate.score)


def probabilities(logits: Array) -> npt.NDArray[np.float64]:
    """Softmax over the classes of (K + 1, T), in float64."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(shifted - shifted.max(0))
    out: npt.NDArray[np.float64] = shifted / shifted.sum(0)
    return out


def top(values: Array, count: int) -> list[int]:
    """Indices of the highest values, highest first; ties: the earlier one."""
    return [int(i) for i in np.argsort(-values, kind="stable")[:count]]


def stretch_around(on: Array, i: int) -> tuple[int, int]:
    """The stretch [start, end) of set entries that holds entry `i`, which is set."""
    off = np.flatnonzero(~on)
    before, after = off[off < i], off[off > i]
    return (
        int(before[-1]) + 1 if len(before) else 0,
        int(after[0]) if len(after) else len(on),
    )
