"""Plans of thousands of shards; benchmarks/planning.py times one of ten thousand."""

import pytest

from tests.test_benchmarks import program
from tests.test_workflow import pytestmark

__all__ = ["program", "pytestmark"]  # without Snakemake, these skip too

JOBS = 2000


@pytest.mark.slow
def test_two_thousand_shard_jobs_are_planned(program, tmp_path):
    """A job for the frames of each shard, and one for its features."""
    planning = program("planning")
    planning.write_project(tmp_path, JOBS, shard_videos=3)
    jobs, _ = planning.plan(tmp_path)
    assert jobs == {
        "inventory": 2,
        "extract_frames": JOBS // 2 + 1,  # and one of the classification set
        "extract_features": JOBS // 2,
        "pretrain": 1,
        "train_fine": 1,
        "train_coarse_fine": 1,
        "total": JOBS + 6,
    }
