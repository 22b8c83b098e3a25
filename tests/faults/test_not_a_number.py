"""Numbers that overflow while training."""

import re
import shutil

import pytest

from tests.faults.chain import TRAININGS
from tests.faults.judge import assert_clear, assert_same


@pytest.mark.parametrize("stage", TRAININGS)
def test_a_rate_that_is_too_high(stage, chain, server, tmp_path, tries):
    """It stops and says where; with the old rate, and a fresh start, all is well."""
    job = chain.jobs[stage]
    folder = chain.folder_before(job, tmp_path)
    wild = [re.sub(r'("\w*rate":)[\d.e-]+', r"\g<1>1e36", a) for a in job.arguments]
    assert wild != list(job.arguments)
    cell = tries("not a number", stage)
    ended = server.run(type(job)(stage, job.module, tuple(wild), job.outputs), folder)
    cell["tries"] += 1
    assert_clear(ended, "step", "learning_rate")
    assert not any((folder / name).exists() for name in job.outputs)
    shutil.rmtree(f"{folder / job.outputs[0]}.resume", ignore_errors=True)
    ended = server.run(job, folder)
    assert ended.status == 0, ended.said
    assert_same(chain, job, folder)
