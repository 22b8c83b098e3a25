"""A clock that is set back by a day while a stage works (by libfaketime)."""

import glob
import re
import time

import pytest

from tests.faults.chain import STAGES, Server
from tests.faults.judge import assert_same

LIBRARIES = "/usr/lib/*/faketime/libfaketime.so.1"


@pytest.fixture(scope="module")
def clock(tmp_path_factory):
    """The file that says how far the clock of the stages is off."""
    path = tmp_path_factory.mktemp("clock") / "offset"
    path.write_text("+0\n")
    return path


@pytest.fixture(scope="module")
def late_server(shared_folder, chain, clock):
    """Starts the stages with that clock; the one that only runs on is not touched."""
    found = glob.glob(LIBRARIES)
    if not found:
        pytest.skip("needs libfaketime: apt-get install faketime")
    server = Server(
        shared_folder,
        sorted({job.module for job in chain.everything}),
        LD_PRELOAD=found[0],
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    yield server
    server.close()


def seconds_of(folder, job):
    """What the outputs say of how long something took."""
    for name in job.outputs:
        path = folder / name
        if path.suffix in (".json", ".jsonl"):
            found = re.findall(
                r'"(?:waited_s|gpu_hours)": (-?[\d.e-]+)', path.read_text()
            )
            yield from map(float, found)


@pytest.mark.parametrize("stage", STAGES)
def test_set_back(stage, chain, late_server, clock, tmp_path, tries):
    job = chain.jobs[stage]
    folder = chain.folder_before(job, tmp_path)
    cell = tries("clock set back", stage)
    clock.write_text("+0\n")
    started = late_server.start(job, folder)
    time.sleep(job.seconds / 2)
    clock.write_text("-1d\n")
    ended = late_server.wait(started)
    cell["tries"] += 1
    assert ended.status == 0, ended.said
    assert_same(chain, job, folder)
    assert all(seconds >= 0 for seconds in seconds_of(folder, job))
