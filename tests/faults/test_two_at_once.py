"""The same job twice at the same time."""

import pytest

from tests.faults.chain import STAGES
from tests.faults.judge import assert_clear, assert_nothing_wrong, assert_same


@pytest.mark.parametrize("stage", STAGES)
def test_two_at_once(stage, chain, server, tmp_path, tries, rounds):
    """One of them ends well, or a third does; the outputs are never wrong."""
    job = chain.jobs[stage]
    cell = tries("two at once", stage)
    for number in rounds:
        folder = chain.folder_before(job, tmp_path / str(number))
        both = [server.start(job, folder) for _ in range(2)]
        for ended in [server.wait(started) for started in both]:
            if ended.status:
                assert_clear(ended, job.outputs[0])
            assert_nothing_wrong(chain, job, folder)
        cell["tries"] += 1
        ended = server.run(job, folder)
        assert ended.status == 0, ended.said
        assert_same(chain, job, folder)
