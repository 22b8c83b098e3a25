"""What the frames are that a class is wrongly detected in.

A class is taken to be detected in its P highest-scored frames, P being the number of
its positive frames: as many as there are to find. Each of them is

correct
    the class happens there;
boundary
    it does not, but begins or ends within a given time;
confusion
    neither, but another class happens there;
background
    nothing happens there.

Source: error types after Alwassel et al., ECCV 2018 (DETAD), for frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssdet.evaluate.frame_table import FrameTable
from ssdet.evaluate.grouped_ap import RankedClass

KINDS = ("correct", "boundary", "confusion", "background")


@dataclass(frozen=True)
class Detections:
    """The detected frames of one class.

    Attributes:
        counts: (4,), frames of each of KINDS.
        confused_with: the class that happens in most frames of confusion, the first of
            several; None without confusion.
        confused: number of those frames.
    """

    counts: npt.NDArray[np.int64]
    confused_with: int | None
    confused: int


def detections(table: FrameTable, number: int, of_class: RankedClass) -> Detections:
    """Tell the kinds of the detected frames of class `number`."""
    chosen = of_class.order[: len(of_class.rows)]
    correct = table.labels[number, chosen]
    boundary = table.near[number, chosen]
    other = table.labels[:, chosen].any(axis=0)  # of false frames: another class
    confusion = ~correct & ~boundary & other
    background = ~correct & ~boundary & ~other
    counts = np.array([k.sum() for k in (correct, boundary, confusion, background)])
    shown = table.labels[:, chosen[confusion]].sum(axis=1)
    most = int(shown.argmax())
    return Detections(counts, most if shown[most] else None, int(shown[most]))
