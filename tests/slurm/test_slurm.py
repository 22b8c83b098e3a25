"""The workflow on a real Slurm: `snakemake --profile slurm`, and its jobs killed."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.slurm.cluster import Cluster, environment, missing
from tests.tiny import merged

ROOT = Path(__file__).resolve().parents[2]
SITE = [  # what a site without accounting adds to the profile
    *("--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "5"),
    *("--seconds-between-status-checks", "2"),
    *("--default-resources", "nodes=1", "slurm_account=none", "slurm_partition=main"),
]
TRAINERS = "ssdet.train."

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),  # minutes of waiting for time limits and lost nodes
    pytest.mark.skipif(bool(missing()), reason=missing() or "there is a Slurm"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """One for all tests; another test process waits for its end."""
    with Path("/run/lock/ssdet-slurm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with Cluster(tmp_path_factory.mktemp("slurm")) as running:
            yield running


def checkout(folder, **sections):
    """A checkout of the project with the tiny configuration as its config.yaml."""
    folder.mkdir()
    for name in ("workflow", "ssdet", "environment.yml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "slurm").symlink_to("workflow/profiles/slurm")
    recipe, tiny = (
        yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
        for name in ("config", "test")
    )
    text = yaml.safe_dump(merged(merged(recipe, tiny), sections))
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text(
        text.replace("results/test", "results")
    )
    return folder


def start(folder, *arguments):
    """Run Snakemake in a checkout, as one would type it."""
    program = Path(sys.executable).with_name("snakemake")
    with (folder / "said.txt").open("w") as said:
        return subprocess.Popen(
            [program, *arguments],
            cwd=folder,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment() | {"OMP_NUM_THREADS": "1"},
        )


def ended(process, folder, seconds=500):
    """Wait for its end; shows what it said if it failed."""
    status = process.wait(seconds)
    assert status == 0, (folder / "said.txt").read_text()[-6000:]


def training(folder, stage, name):
    """Process of a training below a folder, if it runs; not the shells around it."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            there = Path(os.readlink(entry / "cwd"))
        except OSError:
            continue
        if there == folder and f"{TRAINERS}{stage}" in words and name in words:
            return int(entry.name)
    return None


def steps_saved(resume):
    names = sorted(path.name for path in Path(resume).glob("step-*.pt"))
    return int(names[-1].split(".")[0].removeprefix("step-")) if names else 0


def metrics(folder, name):
    result = json.loads((folder / "results" / f"{name}.json").read_text())
    return result["metrics"], result["members"][0]["dense_map"]


def test_the_ensemble_is_the_local_one(cluster, tmp_path):
    """Built on two nodes, one training killed by its time limit on the way."""
    target = "results/charades_ensemble.json"
    local = checkout(tmp_path / "local")
    there = checkout(
        tmp_path / "there",
        resources={"train": {"threads": 1, "gpu": 0, "mem_mb": 500, "runtime": 1}},
    )
    run = start(there, "--profile", "slurm", target, *SITE)
    seen = []

    def stopped():
        assert run.poll() is None, (there / "said.txt").read_text()[-6000:]
        seen.append(training(there, "fine", "mixup"))
        return seen[-1]

    cluster.wait_until(stopped, 300)
    os.kill(seen[-1], signal.SIGSTOP)  # it hangs, so that its minute runs out
    ended(start(local, "--cores", "1", target), local)
    ended(run, there)
    said = (there / "said.txt").read_text()
    assert re.search(r"Trying to restart job|attempt 2|Restart", said), said[-6000:]
    assert metrics(there, "charades_ensemble") == metrics(local, "charades_ensemble")
    log = next((there / "results/logs/train_fine/charades").glob("mixup.log"))
    assert "took" in log.read_text()


def test_a_training_survives_what_slurm_does_to_it(cluster, tmp_path):
    """A signal, a requeue, and the loss of its node; no saved step is done again."""
    target = "results/pretrain/freeze/checkpoint.pt"
    steps = {"steps": 3000, "validate_every": 3000, "warmup_steps": 1}
    sections = {"pretrain": steps, "resources": {"checkpoint_seconds": 0.0}}
    there = checkout(tmp_path / "there", **sections)
    run = start(there, "--profile", "slurm", target, *SITE)
    resume = there / f"{target}.resume"
    marks = []

    def goes_on(after):
        """Wait until the training has gone some steps beyond the last mark."""
        cluster.wait_until(
            lambda: run.poll() is None and steps_saved(resume) > after + 20, 200
        )
        marks.append(steps_saved(resume))
        assert training(there, "pretrain", "freeze")
        return job_of(cluster)

    number, _ = goes_on(0)
    cluster.ask("scancel", "--signal=TERM", number)
    wait_for_another(cluster, number)
    number, _ = goes_on(marks[-1])
    cluster.ask("scontrol", "requeue", number)
    number, node = goes_on(marks[-1])
    cluster.kill(f"slurmd-{node}")
    os.kill(training(there, "pretrain", "freeze"), signal.SIGKILL)
    time.sleep(20)  # the controller gives the node up
    cluster.start_node(node)
    goes_on(marks[-1])
    run.kill()
    run.wait()
    cluster.ask("scancel", "--user=root")
    cluster.wait_until(lambda: not training(there, "pretrain", "freeze"))
    rows = [json.loads(line) for line in (resume / "metrics.jsonl").open()]
    done = [row["step"] for row in rows]
    assert done == list(range(1, len(done) + 1))  # none twice, none left out


def job_of(cluster):
    """Number and node of the one running job."""
    line = cluster.ask("squeue", "-h", "-t", "RUNNING", "-o", "%i %N").split()
    assert len(line) == 2, line
    return line


def wait_for_another(cluster, number):
    """Wait until a job with another number runs."""

    def another():
        jobs = cluster.ask("squeue", "-h", "-t", "RUNNING", "-o", "%i").split()
        return bool(jobs) and number not in jobs

    cluster.wait_until(another, 120)
