import stat
import subprocess
import sys

import pytest
import torch

from ssdet.kernels import compiled
from tests.kernels.compiler import needs_compiler

PROGRAM = """
import logging, torch
from ssdet.kernels.depthwise import depthwise_conv3d
from ssdet.kernels.compiled import covers
logging.basicConfig(level=logging.INFO)
x = torch.ones(1, 1, 1, 2, 2, requires_grad=True)
out = depthwise_conv3d(x, torch.ones(1, 1, 3, 3, 3), 1)
out.sum().backward()
print(covers(x), out.flatten().tolist(), x.grad.flatten().tolist())
"""


@needs_compiler
def test_covers_plain_cpu_tensors_of_one_type(monkeypatch):
    x = torch.zeros(1, 2, 3, 4, 5)
    assert compiled.covers(x)
    assert compiled.covers(x.double())
    assert compiled.covers(x.bfloat16(), x.bfloat16())
    assert not compiled.covers(x, x.double())
    assert not compiled.covers(x.half())
    assert not compiled.covers(x.long())
    assert not compiled.covers(x[:0])
    assert not compiled.covers(x.to("meta"))
    monkeypatch.setenv(compiled.SWITCH, "off")
    assert not compiled.covers(x)


@needs_compiler
def test_is_built_once():
    assert compiled.built() == compiled.built()
    assert compiled.built().is_file()


@pytest.mark.parametrize("script", [None, "echo version 1; exec false"])
def test_without_a_working_compiler_pytorch_computes(tmp_path, script):
    compiler = tmp_path / "compiler"
    if script is not None:
        compiler.write_text(
            '#!/bin/sh\nif [ "$1" = --version ]; then echo 1; exit 0; fi\n'
            "echo cannot do that >&2; exit 1\n"
        )
        compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env={
            "CXX": str(compiler),
            "XDG_CACHE_HOME": str(tmp_path),
            "PYTHONPATH": ":".join(sys.path),
        },
    )
    assert done.stdout == f"False {[4.0] * 4} {[4.0] * 4}\n"
    said = "cannot do that" if script else "No such file"
    assert "no compiled CPU kernels" in done.stderr
    assert said in done.stderr
