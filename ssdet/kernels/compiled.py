"""The compiled kernels of CPUs: built with g++ at first use, kept in the user's cache.

Nothing needs them: where there is no compiler, or with SSDET_CPU_KERNELS=off (config
key `resources.cpu_kernels`), PyTorch computes the same to rounding. They take their
threads from PyTorch's own pool, and give the same bits for any number of them.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)

SWITCH = "SSDET_CPU_KERNELS"
SOURCES = Path(__file__).with_name("cpu")
FLAGS = (
    "-O3",
    "-march=native",
    "-ffp-contract=fast",
    "-std=c++17",
    "-fPIC",
    "-Wno-psabi",
)
# storage -> the type of its arithmetic
DTYPES = {
    torch.float32: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float64: torch.float64,
}


def covers(*tensors: Tensor) -> bool:
    """Whether the compiled kernels can compute with these tensors.

    They must be on the CPU and of one type in DTYPES, and nothing may be tracing.
    """
    first = tensors[0]
    return (
        first.dtype in DTYPES
        and all(
            type(tensor) is Tensor
            and tensor.device.type == "cpu"
            and tensor.dtype == first.dtype
            and tensor.numel() > 0
            for tensor in tensors
        )
        and os.environ.get(SWITCH, "on") != "off"
        and not torch.compiler.is_compiling()
        and library() is not None
    )


def call(name: str, storage: torch.dtype, *arguments: Any) -> None:
    """Call a kernel.

    Args:
        name: of the function, without its type.
        storage: the type of the tensors that it reads and writes.
        arguments: tensors, contiguous in the kernel's order of axes, or with strides
            among the sizes; None for one that is not there; integers, floats; last, a
            tuple of integers: the sizes.
    """
    given: list[Any] = []
    for argument in arguments:
        if isinstance(argument, Tensor):
            given.append(ctypes.c_void_p(argument.data_ptr()))
        elif isinstance(argument, tuple):
            given.append((ctypes.c_long * len(argument))(*argument))
        elif isinstance(argument, float):
            given.append(ctypes.c_double(argument))
        else:
            given.append(argument)
    loaded = library()
    assert loaded is not None  # `covers` said so
    getattr(loaded, f"{name}_{str(storage).removeprefix('torch.')}")(*given)


@functools.cache
def library() -> ctypes.CDLL | None:
    """The loaded kernels, built if they are not; None where that cannot be done."""
    try:
        return ctypes.CDLL(str(built()))
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        log.info("no compiled CPU kernels, PyTorch's are used: %s", said.strip()[-500:])
        return None


def built() -> Path:
    """The file of the kernels for this machine, in the user's cache.

    Raises:
        OSError: there is no compiler, or the cache cannot be written.
        subprocess.SubprocessError: the compiler failed.
    """
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "c++"]
    compiler = next(filter(None, map(shutil.which, names)), None)
    if compiler is None:
        raise FileNotFoundError(f"No such file: a C++ compiler ({' or '.join(names)})")
    sources = sorted([*SOURCES.glob("*.h"), *SOURCES.glob("*.cpp")])
    program = Path(compiler).resolve()  # its name says which version it is
    facts = f"{FLAGS} {program} {program.stat().st_size} {_processor()}"
    seen = hashlib.sha256(facts.encode())
    for source in sources:
        seen.update(source.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "ssdet" / f"kernels-{seen.hexdigest()[:20]}.so"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            _compile(compiler, sources, Path(folder), path)
    return path


def _compile(compiler: str, sources: list[Path], folder: Path, path: Path) -> None:
    def compiled(source: Path) -> str:
        made = str(folder / f"{source.stem}.o")
        _run(compiler, *FLAGS, "-fopenmp", "-c", str(source), "-o", made)
        return made

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = pool.map(compiled, [each for each in sources if each.suffix != ".h"])
    # without -fopenmp: the threads are to be those of PyTorch, which is loaded already
    made = folder / path.name
    _run(compiler, "-shared", *objects, "-o", str(made))
    os.replace(made, path)  # of several processes that build it, one is last


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)


def _processor() -> str:
    """What the compiler makes of -march=native: a cache may be shared by machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    kinds = ("model name", "flags", "Features", "CPU part")
    return "".join(sorted({line for line in lines if line.startswith(kinds)}))
