"""Hours that the stages took: of the clock, of cores and of GPUs, for every stage."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ssdet.report.lineage import Block, Made
from ssdet.report.stage_graph import DATA, FEEDS

SHARED = ("synthetic", "pretrain")  # stages that belong to no data set alone
HOUR_S = 3600.0
COLUMNS = {
    "stage": "stage",
    "reads": "reads files of",
    "jobs": "jobs",
    "hours": "hours",
    "cpu_hours": "CPU-hours",
    "gpu_hours": "GPU-hours",
    "memory_mb": "peak memory [MB]",
    "revision": "revision",
    "last_ended": "last made (UTC)",
}
NUMBERS = (
    "jobs",
    "hours",
    "cpu_hours",
    "gpu_hours",
    "memory_mb",
    "revision",
    "last_ended",
)
NOTE = """\
*hours*: time of all jobs of the stage, one after the other; *CPU-hours*: of all their
threads; *GPU-hours*: their time multiplied by the GPUs that the records of its files
name. Of a training that was interrupted and continued, the last part is counted.
*revision* is the stage's own number, raised when its results change.
"""


@dataclass(frozen=True)
class Job:
    """What Snakemake measured of a job; None: it was too short to be measured."""

    rule: str
    seconds: float
    cpu_s: float | None
    memory_mb: float | None


def read_jobs(folder: Path, datasets: Collection[str]) -> list[Job]:
    """Every job of the stages that was measured and concerns these data sets.

    Args:
        folder: of Snakemake's benchmark files, one folder for each rule.
        datasets: names; jobs of other sets are left out.

    Raises:
        ValueError: a file is no benchmark of Snakemake.
    """
    jobs = []
    for rule in FEEDS:
        files = sorted((folder / rule).rglob("*.tsv"))
        for path in [*folder.glob(f"{rule}.tsv"), *files]:
            words = path.relative_to(folder).with_suffix("").parts
            if rule in SHARED or any(_is_of(word, datasets) for word in words):
                jobs += _read(rule, path)
    return jobs


def hours_rows(jobs: Sequence[Job], made: Collection[Made]) -> list[dict[str, Any]]:
    """A row for each stage that ran, in the order of the workflow.

    Args:
        jobs: what was measured.
        made: files with the records of their making.
    """
    present = present_stages(jobs, made)
    rows = []
    for stage in present:
        own = [job for job in jobs if job.rule == stage]
        blocks = [m.block for m in made if m.rule == stage and m.block is not None]
        hours = sum(job.seconds for job in own) / HOUR_S
        cpu = [job.cpu_s for job in own if job.cpu_s is not None]
        memory = [job.memory_mb for job in own if job.memory_mb is not None]
        rows.append(
            {
                "stage": stage,
                "reads": ", ".join(_reads(stage, present)),
                "jobs": len(own),
                "hours": hours if own else None,
                "cpu_hours": sum(cpu) / HOUR_S if cpu else None,
                "gpu_hours": hours * gpus_held(blocks) if own else None,
                "memory_mb": round(max(memory)) if memory else None,
                "revision": max((b["revision"] for b in blocks), default=None),
                "last_ended": max((_minute(b) for b in blocks), default=None),
            }
        )
    return rows


def present_stages(jobs: Collection[Job], made: Collection[Made]) -> list[str]:
    """The stages that jobs or records tell of, in the order of the workflow."""
    known = {job.rule for job in jobs} | {file.rule for file in made}
    return [stage for stage in FEEDS if stage in known]


def gpus_held(blocks: Collection[Block]) -> int:
    """How many GPUs each job of a stage held, by the records of its files."""
    seconds = sum(seconds_of(block) for block in blocks)
    hours = sum(float(block["gpu_hours"]) for block in blocks)
    return round(hours * HOUR_S / seconds) if seconds else 0


def seconds_of(block: Block) -> float:
    """How long the making of a file took."""
    started, ended = (datetime.fromisoformat(block[k]) for k in ("started", "ended"))
    return (ended - started).total_seconds()


def total(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The row below the others."""
    sums: dict[str, Any] = dict.fromkeys(COLUMNS)
    for name in ("jobs", "hours", "cpu_hours", "gpu_hours"):
        sums[name] = sum(row[name] or 0 for row in rows)
    memory = [row["memory_mb"] for row in rows if row["memory_mb"] is not None]
    return sums | {
        "stage": "all",
        "reads": "",
        "memory_mb": max(memory, default=None),
        "last_ended": max(
            (r["last_ended"] for r in rows if r["last_ended"]), default=None
        ),
    }


def shown(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows for readers: hours with three places."""
    names = ("hours", "cpu_hours", "gpu_hours")
    return [
        {**row, **{n: None if row[n] is None else f"{row[n]:.3f}" for n in names}}
        for row in rows
    ]


def _reads(stage: str, present: Collection[str]) -> list[str]:
    """What feeds a stage; of the data, which feed nearly all, if there is no other."""
    fed = [source for source in FEEDS[stage] if source in present]
    return [source for source in fed if source not in DATA] or fed


def _minute(block: Block) -> str:
    ended = datetime.fromisoformat(block["ended"]).astimezone(UTC)
    return ended.strftime("%Y-%m-%d %H:%M")


def _is_of(word: str, datasets: Collection[str]) -> bool:
    return any(word == name or word.startswith(f"{name}_") for name in datasets)


def _read(rule: str, path: Path) -> list[Job]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                Job(
                    rule,
                    float(row["s"]),
                    _number(row["cpu_time"]),
                    _number(row["max_rss"]),
                )
                for row in csv.DictReader(file, delimiter="\t")
            ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no benchmark of Snakemake ({error})") from None


def _number(text: str) -> float | None:
    return None if text in ("-", "NA", "") else float(text)
