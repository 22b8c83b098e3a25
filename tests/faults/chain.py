"""The tiny chain of config/test.yaml: its commands, and what they write undisturbed.

The commands are those that Snakemake prints; they run in a process of their own each.
"""

import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from ssdet.report.published import read_published
from tests.test_workflow import RESULTS, ROOT, changed, snakemake

# One of each kind; `stages()` has the order in which they can run.
TARGETS = [
    f"{RESULTS}/{name}"
    for name in (
        "charades_coarse_cls_fine_cls.json",
        "charades_coarse_cls.json",
        "charades_slow_cls.json",
        "charades_slow_cls_fast_cls.json",
        "charades_together.json",
        "charades_se_cls.json",
        "charades_spot_50.json",
        "submissions/charades_fine_cls.txt",
        "figures/charades_coarse_cls_grid.svg",
        "figures/charades_fine_cls_ap.svg",
        "tables/charades_fine_cls_errors.csv",
        "tables/charades.md",
        "tables/cost.md",
        "tables/table1.md",
        "figures/figure2.svg",
        "figures/augmentations.svg",
    )
]
CHANGES = {
    "report": {"tables": [str(ROOT / "config" / "tables.yaml")]},
    "models": {"together": {"kind": "end_to_end", "coarse": "cls", "fine": "cls"}},
    "ensembles": {
        "ensemble": ["coarse_cls_fine_cls", "fine_cls"],
        "other_ensemble": None,
        "slowfast_ensemble": None,
        "se_ensemble": None,
        "fine_ensemble": None,
        "coarse_ensemble_fine_cls": None,
    },
    "pretrain": {"steps": 6, "validate_every": 3},
    "spot": {"features": {"stage": "fine"}},  # the module of both is the same
    "resources": {"checkpoint_seconds": 0},
}
# The stages, in an order in which they can run; each stands for all its jobs.
STAGES = (
    "synthetic",
    "inventory",
    "extract_frames",
    "strips",
    "pretrain",
    "train_fine",
    "extract_features",
    "train_coarse_fine",
    "train_coarse",
    "train_slow",
    "train_slowfast",
    "train_end_to_end",
    "train_head",
    "pretrain_spot",
    "train_spot",
    "detect_spot",
    "evaluate_segments",
    "predict",
    "challenge",
    "ensemble",
    "grid",
    "figures",
    "errors",
    "tables",
    "cost",
    "paper_table",
    "paper_figure",
)
TRAININGS = tuple(stage for stage in STAGES if "train" in stage)
REPRESENTED_BY = {  # where a stage has several jobs
    "inventory": "charades/",
    "extract_frames": "charades/frames/shard-000",
    "extract_features": "/training/",
    "predict": "coarse_cls_fine_cls",
    "ensemble": "_ensemble.json",
}


@dataclass(frozen=True)
class Job:
    """One job of the chain.

    Attributes:
        stage: name of its rule.
        module: what `python -m` runs.
        arguments: of the module; paths are relative to the folder of the workflow.
        outputs: files (of `synthetic`: the folder) that it writes.
        inputs: files that it reads.
        seconds: of processor time that it used, undisturbed.
    """

    stage: str
    module: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    seconds: float = 0.0

    def option(self, name):
        """The value of an option."""
        return self.arguments[self.arguments.index(name) + 1]

    def with_option(self, name, value):
        """The same job with another value of an option."""
        place = self.arguments.index(name) + 1
        rest = self.arguments[place + 1 :]
        return replace(self, arguments=(*self.arguments[:place], value, *rest))


def planned(folder):
    """The jobs, in an order in which they can run."""
    config = changed(folder, **CHANGES)
    tables = read_published([ROOT / "config" / "tables.yaml"])
    rows = tables.tables["table1"].rows.values()
    named = {f"{RESULTS}/charades_{row.result}.json" for row in rows}
    there = [folder / name for name in named & set(TARGETS)]
    for path in there:  # tables are planned with the results that there are
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    status, said = snakemake(folder, "--dry-run", "--forceall", *TARGETS, config=config)
    assert status == 0, said
    for path in there:
        path.unlink()
    commands = re.findall(r"^Shell command: export \w+=1; (.*)$", said, re.M)
    jobs = [_job(command) for command in commands]
    assert {job.stage for job in jobs} == set(STAGES)
    return sorted(jobs, key=lambda job: STAGES.index(job.stage))


def _job(command):
    literal = re.sub(
        r'"\$\(dirname ([^)]*)\)"', lambda found: str(Path(found[1]).parent), command
    )
    words = shlex.split(literal)
    end = words.index("2>")
    assert words[:2] == ["python", "-m"]
    stage = Path(words[end + 1]).relative_to(f"{RESULTS}/logs").parts[0]
    given = words[3:end]
    outputs = [value for flag, value in pairwise(given) if flag.startswith("--out")]
    if outputs[0].endswith(".pt"):
        outputs += [str(Path(outputs[0]).with_suffix(s)) for s in (".json", ".jsonl")]
    job = Job(stage.removesuffix(".log"), words[2], tuple(given), tuple(outputs))
    alone = job.stage in ("inventory", "extract_frames")
    return job.with_option("--workers", "0") if alone else job


@dataclass(frozen=True)
class Ended:
    """How a stage ended.

    Attributes:
        status: its exit status; negative: the signal that ended it.
        said: its standard error.
        seconds: of processor time that it used.
    """

    status: int
    said: str
    seconds: float


class Server:
    """Starts stages; see server.py."""

    def __init__(self, folder, modules, **environment):
        """Import everything.

        Args:
            folder: for logs.
            modules: of the stages.
            environment: variables of this server and all that it starts.
        """
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("server.py")), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ
            | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
            | environment,
        )
        self._logs = 0

    def start(self, job, folder):
        """Start a job in a folder; gives what `wait` takes."""
        self._logs += 1
        log = self.folder / f"{os.getpid()}-{self._logs}.log"
        log.touch()
        request = {
            "module": job.module,
            "arguments": list(job.arguments),
            "folder": str(folder),
            "log": str(log),
        }
        return self._ask(**request), log

    def wait(self, started):
        """Wait until it has ended."""
        pid, log = started
        status, seconds = self._ask(wait=pid)
        return Ended(status, log.read_text(), seconds)

    def run(self, job, folder):
        """Run a job in a folder."""
        return self.wait(self.start(job, folder))

    def close(self):
        """End the server."""
        self._process.stdin.close()
        self._process.wait(30)

    def kill(self, started, seconds):
        """`kill -9` it when it has used so much processor time, if it gets there.

        Not after a time on the clock: what it has done by then depends on other work.
        """
        while self._used(started[0]) < seconds:
            time.sleep(0.0005)
        os.kill(started[0], signal.SIGKILL)

    def _used(self, pid):
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if status[0] == "Z":
            return math.inf
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9

    def _ask(self, **request):
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@dataclass(frozen=True)
class Chain:
    """The chain as it ran undisturbed: its folder, and a job of each stage."""

    folder: Path
    jobs: dict[str, Job]
    everything: tuple[Job, ...]

    def folder_before(self, job, folder, link=os.link):
        """Put all that there is before a job into a folder."""
        for path in self.folder.rglob("*"):
            name = str(path.relative_to(self.folder))
            made = any(f"{name}/".startswith(f"{out}/") for out in job.outputs)
            if path.is_file() and not made:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                link(path, target)
        return folder


def build(folder, server):
    """Run the chain, and remember how long each job took."""
    jobs = []
    for job in planned(folder):
        ended = server.run(job, folder)
        assert ended.status == 0, ended.said
        inputs = inputs_of(job, folder)
        jobs.append(replace(job, inputs=inputs, seconds=ended.seconds))
    shutil.rmtree(folder / ".snakemake", ignore_errors=True)
    chosen = {}
    for job in jobs:
        chosen.setdefault(job.stage, job)
        if REPRESENTED_BY.get(job.stage, "\0") in job.outputs[0]:
            chosen[job.stage] = job
    return Chain(folder, chosen, tuple(jobs))


def inputs_of(job, folder):
    """The files below the folder that a job names, or that lie in a folder it names."""
    found = set()
    for word in job.arguments:
        name = word.partition("=")[2] if word.startswith("--") else word
        path = folder / name
        if not name.startswith(RESULTS) or name in job.outputs:
            continue
        inside = path.rglob("*") if path.is_dir() else [path]
        found |= {str(p.relative_to(folder)) for p in inside if p.is_file()}
    return tuple(sorted(found))
