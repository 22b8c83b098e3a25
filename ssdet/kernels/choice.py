"""Which kernels of ours compute with a tensor, if any."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from ssdet.kernels import compiled
from ssdet.kernels.gpu import switch

Kernels = Literal["compiled", "triton"]


def kernels_for(*tensors: Tensor) -> Kernels | None:
    """The kernels that take all these tensors; None: PyTorch's own compute with them.

    Those of GPUs come first: Triton may interpret them on the CPU.
    """
    if switch.covers(*tensors):
        return "triton"
    return "compiled" if compiled.covers(*tensors) else None
