"""When the Triton kernels run.

They have not run on a GPU yet, only in Triton's interpreter, so they are off unless
config key `resources.gpu_kernels` (SSDET_GPU_KERNELS=on) asks for them.
"""

from __future__ import annotations

import functools
import importlib.util
import os

import torch
from torch import Tensor

SWITCH = "SSDET_GPU_KERNELS"
# storage -> the type of its sums
DTYPES = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
}


def covers(*tensors: Tensor) -> bool:
    """Whether the Triton kernels are switched on and can compute with these tensors.

    They must be of one type in DTYPES, not empty, and on a GPU of NVIDIA, or on the
    CPU if Triton interprets (TRITON_INTERPRET=1). Nothing may be tracing.
    """
    return (
        os.environ.get(SWITCH, "off") == "on"
        and not torch.compiler.is_compiling()
        and can_take(*tensors)
    )


def can_take(*tensors: Tensor) -> bool:
    """As `covers`, switched on or not."""
    first = tensors[0]
    return _has_triton() and all(
        type(tensor) is Tensor
        and tensor.dtype in DTYPES
        and tensor.dtype == first.dtype
        and tensor.numel() > 0
        and (
            tensor.device.type == "cpu"
            if interpreted()
            else tensor.is_cuda and torch.version.hip is None
        )
        for tensor in tensors
    )


def interpreted() -> bool:
    """Whether Triton interprets its kernels, on CPUs, instead of compiling them."""
    return os.environ.get("TRITON_INTERPRET", "0") == "1"


@functools.cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None
