"""Segments and suppression as in the published SPOT program, for comparisons.

Its flaws are kept: segments reach from the first to the last set snippet, whole-video
segments are always among them, and overlaps are not overlaps.
Source: spec of SPOT, sections 9.4 and 9.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ssdet.evaluate.segment_decoding import Candidate, probabilities, top

Array = npt.NDArray[Any]

CLASS_THRESHOLDS = tuple(step / 10 for step in range(1, 10))
MASK_THRESHOLDS = (0.0, 0.2, 0.4, 0.6, 0.8)
TOP_SNIPPETS = 10
SHORTEST = 0.02  # of the video
DIVISOR = 0.6  # after which scores may be higher than before
DECAY = 10.0
KEPT = 100


class ClassSpan(NamedTuple):
    """First to last snippet above a threshold, with the highest chance in between."""

    start: int
    end: int
    score: float


class ReferenceCandidate(NamedTuple):
    """A segment as shares of the video; its score is the product of two."""

    start: float
    end: float
    score_a: float
    score_b: float
    label: int


def class_spans(
    action: Array, thresholds: Sequence[float] = CLASS_THRESHOLDS
) -> list[ClassSpan]:
    """Spans of snippets whose best class is above each threshold, of (K, T)."""
    best = action.max(0)
    spans = []
    for threshold in thresholds:
        on = np.flatnonzero(best > threshold)
        if len(on) and on[-1] - on[0] > 1:
            start, end = int(on[0]), int(on[-1])
            spans.append(ClassSpan(start, end, float(best[start:end].max())))
    return spans


def reference_decode(
    logits: Array,
    mask: Array,
    external: tuple[int, float] | None,
    class_thresholds: Sequence[float] = CLASS_THRESHOLDS,
    mask_thresholds: Sequence[float] = MASK_THRESHOLDS,
    top_snippets: int = TOP_SNIPPETS,
) -> list[ReferenceCandidate]:
    """Candidates of a video, duplicates removed, by start and end.

    Args:
        logits: (K + 1, T), the last row is background.
        mask: (T, T) in [0, 1].
        external: class and score that another program gives the whole video; None: the
            network's own.
        class_thresholds: of the spans.
        mask_thresholds: of the masks.
        top_snippets: how many masks are read.
    """
    snippets = mask.shape[1]
    action = probabilities(logits)[:-1]
    own = int(np.asarray(logits, dtype=np.float64)[:-1].mean(1).argmax())
    best = action.max(0)
    spans = class_spans(action, class_thresholds)
    found = set()
    for i in top(best, top_snippets):
        for threshold in mask_thresholds:
            on = np.flatnonzero(mask[i] > threshold)
            if not len(on):
                continue
            start, last = _longest(mask[i] > threshold)
            # the mean below needs an inner snippet, which at T = 100 there always is
            if (last - start) / snippets > SHORTEST and last - start > 2:
                surest = float(action[own, start:last].max())
                score = surest * float(mask[i, start + 1 : last - 1].mean())
                label, other = external or (own, surest * float(best[i]))
                place = (int(on[0]) / snippets, int(on[-1]) / snippets)
                found.add(ReferenceCandidate(*place, score, other, label))
            for span in spans:
                score = float(mask[i, span.start : span.end].max())
                label, other = external or (own, span.score)
                place = (span.start / snippets, span.end / snippets)
                found.add(ReferenceCandidate(*place, score, other, label))
    return sorted(found)


def reference_suppress(
    candidates: Sequence[Candidate], divisor: float = DIVISOR, most: int = KEPT
) -> list[Candidate]:
    """Soft suppression of all classes together, the last candidate dropped.

    Args:
        candidates: segments with scores above 0.
        divisor: of the scores of segments that touch the chosen one.
        most: candidates to return.
    """
    left = list(candidates)
    kept: list[Candidate] = []
    while len(left) > 1 and len(kept) < most:
        chosen = max(left, key=lambda candidate: candidate.score)
        if chosen.score == 0:
            break
        left.remove(chosen)
        kept.append(chosen)
        left = [_decayed(candidate, chosen, divisor) for candidate in left]
    return kept


def _decayed(candidate: Candidate, chosen: Candidate, divisor: float) -> Candidate:
    if min(candidate.end, chosen.end) < max(candidate.start, chosen.start):
        return candidate
    hull = max(candidate.end, chosen.end) - min(candidate.start, chosen.start)
    shared = min(candidate.end, chosen.end) - min(candidate.start, chosen.start)
    quotient = shared / (hull - shared + candidate.end - candidate.start)
    if quotient <= 0:
        return candidate
    decay = float(np.exp(-DECAY * quotient**2)) / divisor
    return candidate._replace(score=candidate.score * decay)


def _longest(on: Array) -> tuple[int, int]:
    """First and last entry of the longest stretch of set ones; ties: the first."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]])))
    starts, ends = edges[::2], edges[1::2]
    longest = int((ends - starts).argmax())
    return int(starts[longest]), int(ends[longest]) - 1
