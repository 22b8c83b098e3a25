"""Where actions have their centres: the second target of MS-TCT.

Source: released code of MS-TCT (Dai et al., CVPR 2022); spec of the heads, section 2.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ssdet.data.annotations import Segment

OVERLAP, SHARPNESS = 0.5, 4.0  # gamma and tau of the released code


class Centre(NamedTuple):
    """Where an action is drawn, how many steps it has, how far its bell goes."""

    label: int
    step: int
    length: int
    radius: int


def centres(
    segments: Sequence[Segment],
    classes: Mapping[str, int],
    steps: int,
    duration_s: float,
    overlap: float = OVERLAP,
) -> list[Centre]:
    """Find the step after the one in which each action has its middle.

    An action whose middle lies on the border of two steps, or after the last, and one
    that ends before it starts, has none. The step may be `steps` itself.

    Args:
        segments: actions, in seconds.
        classes: row of each class.
        steps: F, of the video.
        duration_s: of the video.
        overlap: the radius is an action's length over it.
    """
    rate = steps / duration_s
    step = np.arange(steps)
    found = []
    for segment in segments:
        start, end = segment.start_s, segment.end_s
        middle = (start + end) / 2
        hit = np.flatnonzero((step / rate < middle) & (middle < (step + 1) / rate))
        if end < start or not hit.size:
            continue
        length = int((end - start) * rate)
        radius = int(length / overlap)
        found.append(Centre(classes[segment.label], int(hit[0]) + 1, length, radius))
    return found


def heat_map_target(
    segments: Sequence[Segment],
    classes: Mapping[str, int],
    steps: int,
    duration_s: float,
    overlap: float = OVERLAP,
    sharpness: float = SHARPNESS,
) -> npt.NDArray[np.float32]:
    """Draw a bell around every centre, twice as wide as the action on each side.

    Args:
        segments: actions, in seconds.
        classes: row of each of the C classes.
        steps: F, of the video.
        duration_s: of the video.
        overlap: see `centres`.
        sharpness: a bell's scale is its window's length over it.

    Returns:
        (C, F), in [0, 1]; exactly 1 at the centres within the video.
    """
    target = np.zeros((len(classes), steps))
    for label, centre, _, radius in centres(
        segments, classes, steps, duration_s, overlap
    ):
        scale = (2 * radius + 1) / sharpness
        near = np.arange(max(0, centre - radius), min(steps, centre + radius + 1))
        bell = np.exp(-(((near - centre) / scale) ** 2))
        bell[bell < np.finfo(bell.dtype).eps] = 0
        target[label, near] = np.maximum(target[label, near], bell)
    return target.astype(np.float32)
