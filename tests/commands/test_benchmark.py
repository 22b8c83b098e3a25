import pytest

from ssdet import cli
from ssdet.commands import benchmark

PROGRAM = '''"""Counting: {name}.

    OMP_NUM_THREADS=2 python benchmarks/{name}.py [--json FILE]
"""

import os
import sys

print("threads", os.environ["OMP_NUM_THREADS"], *sys.argv[1:])
raise SystemExit({status})
'''


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder of two programs, the second of which fails, and what they share."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    for name, status in (("good", 0), ("poor", 3)):
        text = PROGRAM.format(name=name, status=status)
        (folder / f"{name}.py").write_text(text)
    (folder / "shared.py").write_text('"""What both share."""\n')
    monkeypatch.setattr(benchmark, "FOLDER", folder)
    return tmp_path


def test_lists_the_programs_of_this_clone(capsys):
    assert cli.main(["benchmark", "--list"]) == 0
    printed = capsys.readouterr().out
    assert "backbone      X3D-M on a CPU, inference and training step" in printed
    assert "depthwise     Forward and backward of a depthwise" in printed
    assert "side_by_side" not in printed
    for program in benchmark.programs(benchmark.FOLDER):
        assert program.claim.endswith("."), program.name


def test_every_program_writes_its_figures():
    for program in benchmark.programs(benchmark.FOLDER):
        assert "[--json FILE]" in program.path.read_text(), program.name


def test_runs_one_and_says_where_its_figures_go(clone, capfd):
    assert cli.main(["benchmark", "good", "--json", str(clone / "out")]) == 0
    assert f"threads 2 --json {clone}/out/good.json\n" in capfd.readouterr().out
    assert cli.main(["benchmark", "good"]) == 0
    assert "threads 2\n" in capfd.readouterr().out


def test_runs_all_and_names_those_that_fail(clone, capfd):
    assert cli.main(["benchmark"]) == 1
    printed = capfd.readouterr()
    assert "== good: Counting: good." in printed.out
    assert "failed: poor\n" in printed.err


def test_unknown_names_and_missing_folders_are_named(clone, monkeypatch, capsys):
    assert cli.main(["benchmark", "best"]) == 1
    assert "no benchmark best; there are good, poor" in capsys.readouterr().err
    monkeypatch.setattr(benchmark, "FOLDER", clone / "nowhere")
    assert cli.main(["benchmark"]) == 1
    assert "clone the repository" in capsys.readouterr().err
