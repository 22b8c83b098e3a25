"""Compile every Triton kernel for a Hopper GPU, which needs none; say what it takes.

    PYTHONPATH=. python tests/kernels/gpu/compile_kernels.py [--x3d-m]

A line for each: name, channels, side, what it does, registers of a thread, bytes of
its stack (spilled registers: none should be), widest read of device memory in bits. In
bf16; with --x3d-m at all shapes of that network, which takes some minutes. The
interpreter takes more than the compiler does. Run by test_compiles.py.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from ssdet.kernels.gpu import convolution, depthwise, norm, norm_maps, norm_numbers

# channels, side, stride of a depthwise convolution; channels of the other maps
CONVOLUTIONS = [
    (54, 112, 2),
    (54, 56, 1),
    (108, 56, 2),
    (108, 28, 1),
    (216, 28, 2),
    (216, 14, 1),
    (432, 14, 2),
    (432, 7, 1),
]
CHANNELS = [24, 48, 54, 96, 108, 192, 216, 432]
STEM = (24, 112)
MAPS = {"x", "other", "out", "gradient", "to_x", "to_other"}  # in bf16
INTEGERS = {"frames", "chunk", "chunks", "items", "items_each", "pixels", "each"}
INTEGERS |= {"parts", "clips", "step"}
TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
SIZED = ["frames", "chunk", "pixels"]  # multiples of 16, as they are for X3D-M


def convolutions(channels: int, side: int, stride: int, time: int = 3) -> list:
    """Kernels of a depthwise convolution: (kernel, constants, warps)."""
    size = {"CHANNELS": channels, "HEIGHT": side, "WIDTH": side}
    taps = {"STRIDE": stride, "TIME": time, "SPACE": 3 if time == 3 else 1}
    forward = depthwise.FORWARD if channels % 4 else depthwise.FORWARD_ALIGNED
    found = []
    for moments, epilogue, mirrored in (
        (True, "none", False),
        (False, "relu" if time == 5 else "silu", False),
        *[(False, "none", True)] * (stride == 1),
    ):
        after = {"MIRRORED": mirrored, "EPILOGUE": epilogue, "MOMENTS": moments}
        found.append((convolution.forward_kernel, {**taps, **after}, forward))
    if stride == 2:
        found.append((convolution.input_gradient_kernel, {}, depthwise.INPUT_GRADIENT))
    last = convolution.weight_gradient_kernel, taps, depthwise.WEIGHT_GRADIENT
    return [
        (
            kernel,
            {
                **size,
                **given,
                "ARITHMETIC": tl.float32,
                "ROWS": tile.rows,
                "COLUMNS": tile.columns,
                "CHANNELS_AT_ONCE": tile.channels,
            },
            tile.warps,
        )
        for kernel, given, tile in [*found, last]
    ]


def norms(channels: int) -> list:
    """Kernels of a map's norm and of its small numbers: (kernel, constants, warps)."""
    silu = {"ACTIVATION": "silu", "HAS_OTHER": False}
    relu = {"ACTIVATION": "relu", "HAS_OTHER": True}
    maps = [(norm_maps.moments_kernel, {})]
    for after in (silu, relu):
        maps.append((norm_maps.apply_kernel, {**after, "ONE_ROW": False}))
        maps.append((norm_maps.reduce_kernel, after))
        maps.append((norm_maps.backward_kernel, after))
    rows = {
        "CHANNELS": channels,
        "TOGETHER": norm.together(channels, norm.LANES),
        "ARITHMETIC": tl.float32,
        "ROWS": norm.ROWS,
        "LANES": norm.LANES,
    }
    small = {
        "CHANNELS": channels,
        "AT_ONCE": norm.CLIPS,
        "CHANNELS_AT_ONCE": norm.CHANNELS,
    }
    learned = {"FIXED": False, "MOMENTUM": 0.1, "EPSILON": 1e-5}
    numbers = [
        (norm_numbers.join_kernel, {}),
        (norm_numbers.statistics_kernel, learned),
        (norm_numbers.statistics_kernel, {**learned, "FIXED": True, "MOMENTUM": 0.0}),
        (norm_numbers.slopes_kernel, {"FIXED": False}),
    ]
    return [
        *((kernel, {**rows, **given}, norm.WARPS) for kernel, given in maps),
        *((kernel, {**small, **given}, norm.WARPS) for kernel, given in numbers),
    ]


def kind(kernel: triton.JITFunction, name: str) -> str:
    """Type of an argument that is no constant."""
    if name in INTEGERS:
        return "i32"
    taps = name == "weight" and kernel is not norm_numbers.statistics_kernel
    return "*bf16" if name in MAPS or taps else "*fp32"


def compiled(kernel: triton.JITFunction, constants: dict, warps: int) -> tuple:
    """Registers of a thread, bytes of its stack, bits of its widest read."""
    signature = {
        name: "constexpr" if name in constants else kind(kernel, name)
        for name in kernel.arg_names
    }
    aligned = {
        (place,): [["tt.divisibility", 16]]
        for place, (name, of) in enumerate(signature.items())
        if of.startswith("*") or (of == "i32" and name in SIZED)
    }
    made = triton.compile(
        ASTSource(kernel, signature, constexprs=constants, attrs=aligned),
        target=GPUTarget("cuda", 90, 32),
        options={"enable_fp_fusion": True, "num_warps": warps},
    )
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        command = [str(TOOLS / "cuobjdump"), "--dump-resource-usage", file.name]
        said = subprocess.run(command, check=True, capture_output=True, text=True)
    registers, stack = map(
        int, re.search(r"REG:(\d+) STACK:(\d+)", said.stdout).groups()
    )
    reads = re.findall(r"ld\.global\S*?(?:\.v(\d))?\.[bsuf](\d+) ", made.asm["ptx"])
    return registers, stack, max(int(of or 1) * int(bits) for of, bits in reads)


def main() -> None:
    """Compile and print."""
    everything = "--x3d-m" in sys.argv[1:]
    jobs = [(STEM[1], job) for job in convolutions(*STEM, 1, time=5)]
    for channels, side, stride in CONVOLUTIONS if everything else CONVOLUTIONS[:1]:
        jobs += [(side, job) for job in convolutions(channels, side, stride)]
    for channels in CHANNELS if everything else CHANNELS[2:3]:
        jobs += [(0, job) for job in norms(channels)]
    for kernel, given, warps in norms(1):  # an argument of 1 comes as a constant
        ones = {name: 1 for name in INTEGERS.intersection(kernel.arg_names)}
        jobs.append((1, (kernel, {**given, **ones}, warps)))
    for side, (kernel, given, warps) in jobs:
        told = [
            str(given[n]) for n in ("ACTIVATION", "EPILOGUE", "STRIDE") if n in given
        ]
        facts = compiled(kernel, given, warps)
        words = (
            kernel.__name__,
            given["CHANNELS"],
            side,
            "/".join(told) or "-",
            *facts,
        )
        print(*words, flush=True)  # noqa: T201


main()
