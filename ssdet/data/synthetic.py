"""The stage `synthetic`: two sets of generated video in the layouts of real ones.

The classification set is laid out like Kinetics, the detection set like Charades, so
that the readers of real data read them. In both, only motion tells the class.

A run that was killed is completed by running it again: videos are written whole or not
at all and carry a fingerprint of what they were made from, label files come last.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from pydantic import ValidationError

from ssdet.config import (
    SPLITS,
    ConfigError,
    SyntheticConfig,
    canonical_json,
    explain,
)
from ssdet.data import synthetic_labels
from ssdet.data.motions import CLASSIFICATION, DETECTION
from ssdet.data.synthetic_ids import planned_ids
from ssdet.data.synthetic_plan import KINDS, Kind, draw_plan, render
from ssdet.data.synthetic_video import check_encoder, comment_of, encode
from ssdet.files import atomic, sha256_text, write_text

__all__ = ["REVISION", "check", "generate", "main", "planned_ids"]

REVISION = 1
SMALLEST_SIDE = 16
SHORTEST_VIDEO_S = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One video to make: video `index` of a split of a set."""

    kind: Kind
    split: str
    index: int
    video_id: str
    path: Path


def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--synthetic", required=True, help="config section, JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True, help="processes")
    parser.add_argument("--out-dir", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        config = SyntheticConfig.model_validate_json(args.synthetic)
    except ValidationError as error:
        raise ConfigError(f"synthetic: {explain(error)}") from None
    generate(config, args.seed, args.workers, args.out_dir)


def generate(config: SyntheticConfig, seed: int, workers: int, folder: Path) -> None:
    """Make both sets below `folder`, or what of them is not there yet.

    Args:
        config: the section `synthetic`.
        seed: at least 0; with `config` it decides everything.
        workers: processes; up to 1 means this one.
        folder: gets a folder for each set, with `videos/` and label files.

    Raises:
        ConfigError: values of `config` that cannot be made into video.
        OSError: something cannot be written; says what and where.
        ValueError: PyAV or its H.264 encoder is missing, or a worker was killed.
    """
    check(config, seed)
    check_encoder()
    jobs = _jobs(config, seed, folder)
    folders = {job.path.parent for job in jobs}
    _make_folders(folders)
    made = sum(_make_all(jobs, config, seed, workers))
    _clear_leftovers(folders)
    for split in SPLITS:
        _write_labels([job for job in jobs if job.split == split], config, seed, folder)
    classes = folder / config.detection / "Charades_v1_classes.txt"
    write_text(classes, synthetic_labels.charades_classes())
    clips = sum(job.kind == "classification" for job in jobs)
    log.info(
        "%s: %d clips of %d classes; %s: %d videos of %d classes; %d made now, %d kept",
        folder / config.classification,
        clips,
        len(CLASSIFICATION),
        folder / config.detection,
        len(jobs) - clips,
        len(DETECTION),
        made,
        len(jobs) - made,
    )


def check(config: SyntheticConfig, seed: int) -> None:
    """Refuse values that cannot be made into video; all are listed.

    Raises:
        ConfigError: names the keys.
    """
    wrong = []
    if seed < 0:
        wrong.append(f"seed must be at least 0, found {seed}")
    if config.classification == config.detection:
        wrong.append(
            "synthetic.classification and synthetic.detection must differ, both are"
            f" {config.detection}"
        )
    if config.side < SMALLEST_SIDE or config.side % 2:
        wrong.append(
            f"synthetic.side must be even and at least {SMALLEST_SIDE} (H.264 with"
            f" halved colour), found {config.side}"
        )
    if config.training_clips < len(CLASSIFICATION):
        wrong.append(
            "synthetic.training_clips must be at least the number of classes,"
            f" {len(CLASSIFICATION)}, found {config.training_clips}"
        )
    for key, least in (("clip_s", 2 / config.fps), ("video_s", SHORTEST_VIDEO_S)):
        shortest, longest = getattr(config, key)
        if not least <= shortest <= longest:
            wrong.append(
                f"synthetic.{key} must be a shortest length of at least {least:g} s and"
                f" a longest one not below it, found {[shortest, longest]}"
            )
    if wrong:
        raise ConfigError("Cannot generate video:\n  " + "\n  ".join(wrong))


def _jobs(config: SyntheticConfig, seed: int, folder: Path) -> list[Job]:
    ids, jobs = planned_ids(config, seed), []
    for kind in KINDS:
        name = getattr(config, kind)
        videos = folder / name / "videos"
        for split in SPLITS:
            for index, video_id in enumerate(ids[name][split]):
                path = videos / f"{video_id}.mp4"
                if kind == "classification":
                    label = synthetic_labels.clip_label(index).replace(" ", "_")
                    part = synthetic_labels.KINETICS_SPLITS[split]
                    path = videos / part / label / path.name
                jobs.append(Job(kind, split, index, video_id, path))
    return jobs


def _make_folders(folders: set[Path]) -> None:
    for folder in sorted(folders):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                error.errno,
                f"cannot write generated videos into {folder}: {error.strerror}. Choose"
                " a folder that can be written (--out-dir)",
            ) from error


def _clear_leftovers(folders: set[Path]) -> None:
    """Remove what a killed run left half written."""
    for folder in folders:
        for leftover in folder.glob(".*.mp4.*.tmp"):
            leftover.unlink(missing_ok=True)


def _make_all(
    jobs: list[Job], config: SyntheticConfig, seed: int, workers: int
) -> Iterator[bool]:
    """Make the videos that are not there yet; says of each whether it was made."""
    if workers <= 1:
        yield from map(_make, jobs, repeat(config), repeat(seed))
        return
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent
    )
    try:
        yield from pool.map(_make, jobs, repeat(config), repeat(seed), chunksize=4)
    except BrokenProcessPool:
        raise ValueError(
            "a process that makes videos was killed, maybe for want of memory; run"
            " again to go on, with fewer --workers if it happens again"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Let this worker end when the stage is killed, instead of waiting for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()


def _make(job: Job, config: SyntheticConfig, seed: int) -> bool:
    comment = _comment(job, config, seed)
    if comment_of(job.path) == comment:
        return False
    plan = draw_plan(job.kind, config, seed, job.split, job.index)
    data = encode(render(plan), plan.side, plan.fps, comment)
    with atomic(job.path) as temporary:
        temporary.write_bytes(data)
    return True


def _comment(job: Job, config: SyntheticConfig, seed: int) -> str:
    """What a video is made from: tells videos of another seed or config apart."""
    made_from = {
        "revision": REVISION,
        "kind": job.kind,
        "split": job.split,
        "index": job.index,
        "seed": seed,
        "side": config.side,
        "fps": config.fps,
        "seconds": config.clip_s if job.kind == "classification" else config.video_s,
    }
    return f"generated by ssdet, {sha256_text(canonical_json(made_from))}"


def _write_labels(
    jobs: list[Job], config: SyntheticConfig, seed: int, folder: Path
) -> None:
    """Write the label files of one split."""
    split = jobs[0].split
    ids = [job.video_id for job in jobs if job.kind == "classification"]
    name = f"{synthetic_labels.KINETICS_SPLITS[split]}.csv"
    text = synthetic_labels.kinetics_csv(ids, split)
    write_text(folder / config.classification / name, text)
    plans = [
        (job.video_id, draw_plan("detection", config, seed, split, job.index))
        for job in jobs
        if job.kind == "detection"
    ]
    name = f"Charades_v1_{synthetic_labels.CHARADES_SPLITS[split]}.csv"
    write_text(folder / config.detection / name, synthetic_labels.charades_csv(plans))


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
