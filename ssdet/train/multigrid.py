"""Multigrid training: batches of many small clips first, of few large ones last.

For training X3D from scratch; detection pretraining starts from given weights and keeps
one shape.

Source: Wu et al., CVPR 2020 (arXiv:1912.00998), as in the released X3D training; spec
of SSDet, section 3.9.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from ssdet.config import MultigridConfig
from ssdet.data.clips import Shape

FINAL = -1  # long-cycle index of the last phase, which keeps the full shape
PHASE_ENDS = (0.4, 0.65, 0.85, 1.0)  # shares of all steps


# by long-cycle index: factor on the batch, divisors of frames and crop, group factor
_LONG = {
    0: (8, 4, math.sqrt(2), 8),
    1: (4, 2, math.sqrt(2), 4),
    2: (2, 2, 1.0, 2),
    3: (1, 1, 1.0, 1),
    FINAL: (1, 1, 1.0, 1),
}
# factor on the batch, divisor of the crop
_SHORT_SMALL = ((2, math.sqrt(2)), (1, 1.0))  # long-cycle index 0 and 1
_SHORT_LARGE = ((4, 2.0), (2, math.sqrt(2)), (1, 1.0))


def long_index(step: int, ends: Sequence[int]) -> int:
    """Long-cycle index of a step: 0 to 3, or FINAL.

    Args:
        step: from 0.
        ends: step at which each phase ends, ascending. A phase but the last gives the
            four shapes equal shares.
    """
    phase = bisect_left(ends, step)
    if phase >= len(ends) - 1:
        return FINAL
    begin = ends[phase - 1] if phase else 0
    return min(3, 4 * (step - begin) // (ends[phase] - begin))


def long_shape(base: Shape, index: int) -> Shape:
    """The shape of a long-cycle index; `base` is that of index 3."""
    batch, frames, crop, groups = _LONG[index]
    return Shape(
        base.batch * batch,
        base.frames // frames,
        math.floor(base.crop / crop),
        base.groups * groups,
    )


def short_shape(shape: Shape, index: int, step: int) -> Shape:
    """The shape of a step inside the short cycle.

    Args:
        shape: of the long cycle.
        index: of the long cycle.
        step: from 0. As released, a resumed run counts from where it was resumed.
    """
    cycle = _SHORT_SMALL if index in (0, 1) else _SHORT_LARGE
    batch, crop = cycle[step % len(cycle)]
    return Shape(
        shape.batch * batch, shape.frames, math.floor(shape.crop / crop), shape.groups
    )


@dataclass(frozen=True)
class MultigridShapes:
    """The batch of each step of a run, and what it does to the learning rate.

    Attributes:
        base: the full shape.
        steps: of the run.
        config: which cycles there are.
    """

    base: Shape
    steps: int
    config: MultigridConfig

    def index(self, step: int) -> int:
        """Long-cycle index of a step."""
        if not self.config.long_cycle:
            return FINAL
        return long_index(step, [round(end * self.steps) for end in PHASE_ENDS])

    def __call__(self, step: int) -> Shape:
        """The batch of a step."""
        index = self.index(step)
        shape = long_shape(self.base, index)
        return short_shape(shape, index, step) if self.config.short_cycle else shape

    def rate_factor(self, step: int) -> int:
        """Factor on the learning rate: that of the long cycle on the batch."""
        return _LONG[self.index(step)][0]
