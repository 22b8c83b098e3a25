"""`ssdet benchmark`: the programs of benchmarks/, listed and run."""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@dataclass(frozen=True)
class Program:
    """A program of benchmarks/.

    Attributes:
        path: of its file.
        claim: what it compares, the first line of its text.
        threads: OMP_NUM_THREADS in the command that its text names.
    """

    path: Path
    claim: str
    threads: int

    @property
    def name(self) -> str:
        """As on the command line."""
        return self.path.stem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument("names", nargs="*", metavar="program", help="default: all")
    parser.add_argument("--list", action="store_true", help="list, run nothing")
    parser.add_argument("--json", type=Path, metavar="DIR", help="write results to DIR")


def run(args: argparse.Namespace) -> int:
    """List the programs, run those asked for; 1 if one of them fails.

    Raises:
        ValueError: this is no clone, or there is no program of that name.
    """
    chosen = select(programs(FOLDER), args.names)
    for program in chosen:
        print(f"{program.name:14}{program.claim}")
    if args.list:
        return 0
    failed = [one.name for one in chosen if not run_program(one, args.json)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def programs(folder: Path) -> list[Program]:
    """Every program in the folder, by name.

    Raises:
        ValueError: there is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(
            f"no folder {folder}: the benchmarks are not installed with the package;"
            " clone the repository and run there, as python -m ssdet.cli benchmark"
        )
    found = []
    for path in sorted(folder.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        said = ast.get_docstring(ast.parse(text)) or ""
        threads = re.search(rf"OMP_NUM_THREADS=(\d+) python .*{path.name}", said)
        if threads:  # files without a command are what programs share
            found.append(Program(path, said.splitlines()[0], int(threads[1])))
    return found


def select(known: Sequence[Program], names: Sequence[str]) -> list[Program]:
    """The programs of these names; all if there are none.

    Raises:
        ValueError: there is no such program.
    """
    by_name = {program.name: program for program in known}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise ValueError(
            f"no benchmark {', '.join(unknown)}; there are {', '.join(by_name)}"
        )
    return [by_name[name] for name in names] if names else list(known)


def run_program(program: Program, folder: Path | None) -> bool:
    """Run one, with as many threads as its text says; whether it succeeded.

    Args:
        program: which.
        folder: where it writes <name>.json; None: it writes nothing.
    """
    command = [sys.executable, str(program.path)]
    if folder is not None:
        command += ["--json", str(folder / f"{program.name}.json")]
    root = str(program.path.parents[1])
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(program.threads),
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]),
    }
    print(f"\n== {program.name}: {program.claim}", flush=True)
    return subprocess.run(command, env=environment).returncode == 0
