"""Random integers with a bound for each."""

from __future__ import annotations

import torch
from torch import Tensor


def uniform_integers(bounds: Tensor, generator: torch.Generator) -> Tensor:
    """Draw integers, each uniform in 0 .. bound - 1.

    Args:
        bounds: any shape, int64, at least 1.
        generator: on the CPU.
    """
    share = torch.rand(bounds.shape, dtype=torch.float64, generator=generator)
    return (share * bounds).long()  # float64: never rounds up to the bound
