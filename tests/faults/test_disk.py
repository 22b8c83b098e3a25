"""A disk that is full, or cannot be written."""

import os
import random
import shutil
import subprocess
from contextlib import contextmanager

import pytest

from tests.faults.chain import RESULTS, STAGES
from tests.faults.judge import assert_clear, assert_nothing_wrong, assert_same

PAGE = 4096


@contextmanager
def filled(disk, free):
    """Leave so many bytes free."""
    status = os.statvfs(disk)
    rest = status.f_bavail * status.f_frsize - free // PAGE * PAGE
    with open(disk / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, rest)
    try:
        yield
    finally:
        (disk / "filler").unlink()


@contextmanager
def read_only(disk):
    """Let nobody write, not even root."""
    remount = ["mount", "-o", "remount,ro", str(disk)]
    subprocess.run(remount, check=True)
    try:
        yield
    finally:
        remount[2] = "remount,rw"
        subprocess.run(remount, check=True)


def folder_on(disk, chain, job):
    """All that there is before a job, as links, on an empty disk."""
    for path in disk.iterdir():
        shutil.rmtree(path)
    return chain.folder_before(
        job, disk / "folder", lambda path, target: target.symlink_to(path)
    )


@pytest.mark.parametrize("stage", STAGES)
def test_no_room(stage, chain, server, disk, tries, rounds):
    """None at all, then some, then enough."""
    job, draws = chain.jobs[stage], random.Random(stage)
    cell = tries("full disk", stage)
    needed = sum(
        p.stat().st_size
        for name in job.outputs
        for p in [chain.folder / name, *(chain.folder / name).rglob("*")]
    )
    for _ in rounds:
        folder = folder_on(disk, chain, job)
        for free in (0, draws.randint(PAGE, 2 * needed + 2 * PAGE)):
            with filled(disk, free):
                ended = server.run(job, folder)
                cell["tries"] += 1
                assert_nothing_wrong(chain, job, folder)
                if ended.status or not free:
                    assert_clear(ended, RESULTS, "No space left", "Free some space")
        ended = server.run(job, folder)
        assert ended.status == 0, ended.said
        assert_same(chain, job, folder)


@pytest.mark.parametrize("stage", STAGES)
def test_read_only(stage, chain, server, disk, tries):
    job = chain.jobs[stage]
    folder = folder_on(disk, chain, job)
    cell = tries("read-only", stage)
    with read_only(disk):
        ended = server.run(job, folder)
        cell["tries"] += 1
        assert_clear(ended, RESULTS, "Read-only file system", "folder")
    assert_nothing_wrong(chain, job, folder)
