"""Where half precision would hurt: time positions, weights over time, their sums."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


def full(x: Tensor) -> Tensor:
    """`x` in float32, or in float64 if it is."""
    return x if x.dtype == torch.float64 else x.float()


def no_autocast(x: Tensor) -> AbstractContextManager[Any]:
    """A block in which nothing on `x`'s device is lowered to half precision."""
    if x.device.type == "meta":  # counting, not computing; has no autocast
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)
