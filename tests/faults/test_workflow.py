"""Faults of a whole workflow run: two at once, a killed run, inputs from the future."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.faults.chain import CHANGES, RESULTS
from tests.faults.judge import assert_same
from tests.test_workflow import RECIPE, SNAKEFILE, TINY, changed, snakemake

TARGET = f"{RESULTS}/charades_coarse_cls.json"


@pytest.fixture
def folder(chain, tmp_path):
    """All that is there before the ensemble of one model."""
    return chain.folder_before(result_of(chain), tmp_path)


def result_of(chain):
    """The job that makes the target."""
    return next(job for job in chain.everything if job.outputs == (TARGET,))


def begin(folder):
    """Start a run of the workflow; wait until its job works."""
    config = changed(folder, **CHANGES)
    command = [sys.executable, "-m", "snakemake", "--snakefile", SNAKEFILE]
    command += ["--configfile", *config, "--cores", "1", "--allowed-rules", "ensemble"]
    assert config[:2] == (RECIPE, TINY)
    run = subprocess.Popen(
        list(map(str, [*command, "--", TARGET])),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    log = folder / RESULTS / "logs" / "ensemble" / "charades_coarse_cls.log"
    while not log.exists():
        assert run.poll() is None
        time.sleep(0.01)
    return run


def again(folder, *arguments):
    """Run the workflow to its end."""
    config = changed(folder, **CHANGES)
    only = ("--allowed-rules", "ensemble", *arguments, "--", TARGET)
    return snakemake(folder, *only, config=config)


def test_a_second_run_is_refused_while_one_works(chain, folder, tries):
    cell = tries("two at once", "workflow")
    run = begin(folder)
    status, said = again(folder)
    cell["tries"] += 1
    assert status == 1
    assert "cannot be locked" in said
    assert run.wait(120) == 0
    assert_same(chain, result_of(chain), folder)


def test_a_killed_run_is_unlocked_and_run_again(chain, folder, tries):
    """Snakemake and its jobs, at once: as when a machine goes down."""
    cell = tries("kill -9", "workflow")
    run = begin(folder)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(30)
    cell["tries"] += 1
    status, said = again(folder)
    assert status == 1
    assert "--unlock" in said
    status, said = again(folder, "--unlock")
    assert status == 0, said
    status, said = again(folder)
    assert status == 0, said
    assert_same(chain, result_of(chain), folder)


def test_an_input_from_the_future(chain, folder, tries):
    """The clock was set back after it was made: named, and nothing is lost."""
    cell = tries("clock set back", "workflow")
    inventory = folder / RESULTS / "charades" / "inventory.csv"
    data = inventory.read_bytes()
    inventory.unlink()
    inventory.write_bytes(data)
    tomorrow = time.time() + 86400
    os.utime(inventory, (tomorrow, tomorrow))
    status, said = again(folder)
    cell["tries"] += 1
    assert status == 1
    assert "has older modification time" in said
    assert not (folder / result_of(chain).outputs[0]).exists()
    os.utime(inventory)
    status, said = again(folder)
    assert status == 0, said
    assert_same(chain, result_of(chain), folder)
