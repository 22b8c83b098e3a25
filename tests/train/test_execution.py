"""What is freed stays in the process, in a program of its own: it cannot be undone."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import os, torch
from ssdet.train.execution import keep_freed_memory
def held():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
print(keep_freed_memory())
before = held()
for _ in range(3):
    torch.ones(2**24)  # 64 MiB
print((held() - before) / 2**20 > 60)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
@pytest.mark.parametrize(
    ("variable", "kept"), [("MALLOC_PERTURB_", False), ("X", True)]
)
def test_freed_memory(monkeypatch, variable, kept):
    monkeypatch.setenv(variable, "0")
    command = [sys.executable, "-c", PROGRAM]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.split() == [str(kept)] * 2
