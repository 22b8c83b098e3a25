import stat
import subprocess
import sys

import pytest
import torch

from ssdet.kernels import library
from tests.kernels.compiled import needs_compiler

PROGRAM = """
import logging, torch
from ssdet.kernels.depthwise import depthwise_conv3d
from ssdet.kernels.library import covers
logging.basicConfig(level=logging.INFO)
x = torch.ones(1, 1, 1, 2, 2, requires_grad=True)
out = depthwise_conv3d(x, torch.ones(1, 1, 3, 3, 3), 1)
out.sum().backward()
print(covers(x), out.flatten().tolist(), x.grad.flatten().tolist())
"""


@needs_compiler
def test_covers_plain_cpu_tensors_of_one_type(monkeypatch):
    x = torch.zeros(1, 2, 3, 4, 5)
    assert library.covers(x)
    assert library.covers(x.double())
    assert library.covers(x.bfloat16(), x.bfloat16())
    assert not library.covers(x, x.double())
    assert not library.covers(x.half())
    assert not library.covers(x.long())
    assert not library.covers(x[:0])
    assert not library.covers(x.to("meta"))
    monkeypatch.setenv(library.SWITCH, "off")
    assert not library.covers(x)


@needs_compiler
def test_is_built_once():
    assert library.built() == library.built()
    assert library.built().is_file()


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
