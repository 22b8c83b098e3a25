"""Compile every Triton kernel for a Hopper GPU, which needs none; print their names.

The interpreter takes more than the compiler does. Run by test_compiles.py.
"""

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from ssdet.kernels.gpu import convolution, elementwise

SIZE = {"CHANNELS": 54, "HEIGHT": 7, "WIDTH": 7}
TILE = {"ROWS": 2, "COLUMNS": 4, "CHANNELS_AT_ONCE": 64}
SPACE = {"TIME": 3, "SPACE": 3}
PLAIN = {"MIRRORED": False, "EPILOGUE": "none", "MOMENTS": True}
FOLDED = {"MIRRORED": True, "EPILOGUE": "silu", "MOMENTS": False}
POINTS = {"CHANNELS": 54, "PIXELS": 16, "CHANNELS_AT_ONCE": 64}
KERNELS = [
    (convolution.forward_kernel, {**SIZE, "STRIDE": 2, **SPACE, **PLAIN, **TILE}),
    (
        convolution.forward_kernel,
        {**SIZE, "STRIDE": 1, "TIME": 5, "SPACE": 1, **FOLDED, **TILE},
    ),
    (convolution.input_gradient_kernel, {**SIZE, **TILE}),
    (convolution.weight_gradient_kernel, {**SIZE, "STRIDE": 2, **SPACE, **TILE}),
    (
        elementwise.forward_kernel,
        {**POINTS, "ACTIVATION": "silu", "HAS_OTHER": False},
    ),
    (
        elementwise.backward_kernel,
        {**POINTS, "ACTIVATION": "relu", "HAS_OTHER": True},
    ),
    (
        elementwise.backward_kernel,
        {**POINTS, "ACTIVATION": "silu", "HAS_OTHER": False},
    ),
]
NUMBERS = {"frames", "chunk", "chunks", "items", "items_each", "pixels", "each"}
SUMS = {"scale", "shift", "moments", "partial"}


def kind(name: str) -> str:
    """Type of an argument that is no constant."""
    if name in NUMBERS:
        return "i32"
    return "*fp32" if name in SUMS else "*bf16"


for kernel, given in KERNELS:
    constants = {**given, "ARITHMETIC": tl.float32}
    names = {name: kind(name) for name in kernel.arg_names if name not in constants}
    source = ASTSource(
        fn=kernel,
        signature={n: names.get(n, "constexpr") for n in kernel.arg_names},
        constexprs=constants,
    )
    compiled = triton.compile(
        source, target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": True}
    )
    assert compiled.asm["cubin"]
    print(kernel.__name__)  # noqa: T201
