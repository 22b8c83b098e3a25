"""How much two segments share of the time that they cover together.

Source: spec of SPOT, section 10; the official ActivityNet evaluation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def overlap(rows: npt.ArrayLike, columns: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Temporal intersection over union (tIoU).

    Args:
        rows: (N, 2), start and end, in any unit.
        columns: (M, 2), likewise.

    Returns:
        (N, M) in [0, 1]; 0 for two empty segments.
    """
    a = np.asarray(rows, dtype=np.float64).reshape(-1, 1, 2)
    b = np.asarray(columns, dtype=np.float64).reshape(1, -1, 2)
    shared = np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0])
    shared = np.maximum(shared, 0.0)
    union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - shared
    return shared / np.where(union > 0, union, 1.0)
