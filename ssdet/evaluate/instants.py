"""Rows of a prediction that stand for the 25 official instants.

Scores at known times are better interpolated at the instants (`interpolate`); these
rules are for predictions of F steps of which only the number is known.

Source: heads_and_evaluation, section 4.5.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from ssdet.data.frame_labels import INSTANTS

Rule = Literal["floor", "nearest", "every_kth_from_1"]


def instant_steps(
    steps: int, rule: Rule = "floor", count: int = INSTANTS
) -> npt.NDArray[np.int64]:
    """Step of each instant.

    Args:
        steps: number F of steps; step f stands for time f / F of the video.
        rule: `floor` takes floor(j * F / 25), the step that the instant lies in;
            `nearest` the step whose time is nearest; `every_kth_from_1` is the shortcut
            of public code, which stops short of the video's end: never report it as
            the official protocol.
        count: number of instants.

    Returns:
        (count,), from 0.

    Raises:
        ValueError: the shortcut is asked for with too few steps.
    """
    instants = np.arange(count, dtype=np.int64)
    if rule == "floor":
        return instants * steps // count
    if rule == "nearest":
        nearest = (2 * instants * steps + count) // (2 * count)
        return np.minimum(nearest, steps - 1)
    if steps <= count:
        raise ValueError(
            f"every_kth_from_1 needs more than {count} steps, the video has {steps}"
        )
    return 1 + instants * (steps // count)
