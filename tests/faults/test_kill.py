"""`kill -9` at random moments."""

import random

import pytest

from tests.faults.chain import STAGES
from tests.faults.judge import assert_nothing_wrong, assert_same

KILLS = 2


@pytest.mark.parametrize("stage", STAGES)
def test_killed_and_run_again(stage, chain, server, tmp_path, tries, rounds):
    """Twice, then it may end: with the bytes of the undisturbed run."""
    job, draws = chain.jobs[stage], random.Random(stage)
    cell = tries("kill -9", stage)
    for number in rounds:
        folder = chain.folder_before(job, tmp_path / str(number))
        killed = 0
        for _ in range(5 * KILLS):  # some get to their end before
            started = server.start(job, folder)
            server.kill(started, draws.uniform(0, job.seconds))
            ended = server.wait(started)
            assert ended.status in (0, -9), ended.said
            assert_nothing_wrong(chain, job, folder)
            killed += ended.status == -9
            if killed == KILLS:
                break
        cell["tries"] += killed
        ended = server.run(job, folder)
        assert ended.status == 0, ended.said
        assert_same(chain, job, folder)
