"""The chain is run once, undisturbed; each test then disturbs one stage of it."""

import fcntl
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.chain import Server, build, planned
from tests.faults.judge import Tries

if shutil.which("snakemake", path=str(Path(sys.executable).parent)) is None:
    collect_ignore_glob = ["test_*.py"]  # the chain is that of the workflow


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """One for all processes of this run of the tests."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "faults"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def chain(shared_folder):
    """The chain, undisturbed; whoever comes first runs it."""
    kept = shared_folder / "chain.pickle"
    with open(shared_folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            folder = shared_folder / "undisturbed"
            folder.mkdir()
            modules = sorted({job.module for job in planned(folder)})
            server = Server(shared_folder, modules)
            kept.write_bytes(pickle.dumps(build(folder, server)))
            server.close()
    return pickle.loads(kept.read_bytes())


@pytest.fixture(scope="session")
def server(shared_folder, chain):
    """Starts the stages."""
    modules = sorted({job.module for job in chain.everything})
    server = Server(shared_folder, modules)
    yield server
    server.close()


@pytest.fixture(scope="session")
def disk(tmp_path_factory):
    """A disk of its own, in memory."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a disk cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def tries(request):
    """Counts the tries of this test."""
    return Tries(request.node)


@pytest.fixture
def rounds(request):
    """How often to repeat: once, or as --soak says."""
    return range(request.config.getoption("--soak"))
