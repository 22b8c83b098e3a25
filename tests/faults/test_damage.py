"""Files that are cut off, or in which a bit is wrong."""

import os
import random
import shutil
from fnmatch import fnmatch

import pytest

from tests.faults.chain import STAGES
from tests.faults.judge import assert_clear, assert_nothing_wrong

# What stages read, but for the label files, which are the user's own.
KINDS = {
    "inventory": "*/inventory.csv",
    "frames": "*/frames/*.h5",
    "features": "*/features/*.h5",
    "checkpoint": "*.pt",
    "predictions": "*/predictions/*.h5",
    "detections": "*/detections.json",
    "result": "*/charades_*.json",
}
READERS = [stage for stage in STAGES if stage not in ("synthetic", "inventory", "cost")]


def kinds_of(job):
    """kind -> files of that kind that a job reads."""
    found = {
        kind: [name for name in job.inputs if fnmatch(name, pattern)]
        for kind, pattern in KINDS.items()
    }
    return {kind: names for kind, names in found.items() if names}


def cut(data, draws):
    """Without its end."""
    return data[: draws.randrange(len(data))]


def flip(data, draws):
    """With one bit changed."""
    changed = bytearray(data)
    changed[draws.randrange(len(data))] ^= 1 << draws.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("fault", [cut, flip])
@pytest.mark.parametrize("stage", READERS)
def test_a_damaged_file_is_named(stage, fault, chain, server, tmp_path, tries, rounds):
    """Or the damage does not matter: then the outputs are right."""
    job, draws = chain.jobs[stage], random.Random(stage)
    cell = tries({cut: "cut off", flip: "bit flip"}[fault], stage)
    folder = chain.folder_before(job, tmp_path)
    for _ in rounds:
        for names in kinds_of(job).values():
            name = draws.choice(names)
            path = folder / name
            good = path.read_bytes()
            path.unlink()
            path.write_bytes(fault(good, draws))
            ended = server.run(job, folder)
            cell["tries"] += 1
            assert_nothing_wrong(chain, job, folder, parents=False)
            if ended.status:
                assert_clear(ended, name)
            path.unlink()
            os.link(chain.folder / name, path)
            forget(job, folder)


def forget(job, folder):
    """Remove what a job wrote."""
    for name in job.outputs:
        (folder / name).unlink(missing_ok=True)
        shutil.rmtree(f"{folder / name}.resume", ignore_errors=True)
