"""Soft suppression: a segment that overlaps a better one of its class counts less.

Source: Bodla et al., ICCV 2017 (Gaussian form); spec of SPOT, section 9.5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssdet.evaluate.segment_decoding import Candidate
from ssdet.evaluate.segment_overlap import overlap


def suppress(
    candidates: Sequence[Candidate], sigma: float, most: int
) -> list[Candidate]:
    """Lower the scores of segments that overlap better ones, class by class.

    The best candidate left is kept, and the scores of the others of its class are
    multiplied by exp(-tIoU^2 / sigma), until none is left. Equal scores: the earlier
    candidate first.

    Args:
        candidates: of one video.
        sigma: how gentle; above 0.
        most: candidates to return, of all classes together.

    Returns:
        With their new scores, highest first.
    """
    kept: list[Candidate] = []
    for label in sorted({candidate.label for candidate in candidates}):
        kept += _of_class([c for c in candidates if c.label == label], sigma)
    kept.sort(key=lambda candidate: -candidate.score)
    return kept[:most]


def _of_class(candidates: Sequence[Candidate], sigma: float) -> list[Candidate]:
    places = np.array([(c.start, c.end) for c in candidates])
    scores = np.array([c.score for c in candidates])
    decay = np.exp(-(overlap(places, places) ** 2) / sigma)
    left = np.ones(len(candidates), dtype=bool)
    kept = []
    while left.any():
        chosen = int(np.where(left, scores, -np.inf).argmax())
        left[chosen] = False
        kept.append(candidates[chosen]._replace(score=float(scores[chosen])))
        scores = np.where(left, scores * decay[chosen], scores)
    return kept
