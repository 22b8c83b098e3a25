import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton is not installed")
KERNELS = {
    "forward_kernel": 5,
    "input_gradient_kernel": 1,
    "weight_gradient_kernel": 2,
    "moments_kernel": 2,
    "apply_kernel": 4,
    "reduce_kernel": 4,
    "backward_kernel": 4,
    "join_kernel": 2,
    "statistics_kernel": 4,
    "slopes_kernel": 2,
}


def test_all_kernels_compile_for_hopper_without_spills(tmp_path):
    """In a process of its own: in this one Triton may be interpreting."""
    root = Path(__file__).parents[3]
    given = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    path = os.pathsep.join(filter(None, [str(root), given.get("PYTHONPATH")]))
    result = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("compile_kernels.py"))],
        env={**given, "PYTHONPATH": path, "TRITON_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    names = [line[0] for line in lines]
    assert {name: names.count(name) for name in names} == KERNELS
    spilled = [line for line in lines if line[5] != "0"]
    assert not spilled
    over_maps = ("moments_kernel", "apply_kernel", "reduce_kernel", "backward_kernel")
    widest = {line[6] for line in lines if line[0] in over_maps and line[2] == "0"}
    assert widest == {"128"}
