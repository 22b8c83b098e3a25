"""Planning of ten thousand shard jobs by Snakemake.

    OMP_NUM_THREADS=1 python benchmarks/planning.py [--jobs 10000] [--json FILE]

Makes up a table of one's own videos, one file for the rest, and asks for a two-stream
detector: its plan holds a job for the frames of every shard and one for their features.
Prints the jobs, and the seconds of processor time and of the clock that planning took;
in turn with it a plan of a hundred jobs, nearly all of which is the start of Snakemake.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import yaml
from side_by_side import (
    finish,
    in_turn,
    options,
    show,
    show_facts,
    summary,
)

ROOT = Path(__file__).resolve().parents[1]
FEW = 100  # jobs
# Runs a program, then prints its memory: a process so small that it adds nothing.
MEMORY = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print("peak_kb", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""
TARGET = "results/many/coarse_fine/cls_cls/checkpoint.pt"


def write_project(folder: Path, jobs: int, shard_videos: int) -> None:
    """Write labels of so many videos that their plan has `jobs` shard jobs.

    Args:
        folder: where the labels go, and the configuration: planning.yaml.
        jobs: of extract_frames and extract_features together.
        shard_videos: videos in a shard.
    """
    videos = jobs // 2 * shard_videos
    head = "video_id,start_s,end_s,label\n"
    rows = (f"v{n:07d},0.5,2.5,{'run' if n % 2 else 'jump'}\n" for n in range(videos))
    (folder / "training.csv").write_text(head + "".join(rows))
    (folder / "testing.csv").write_text(head + "z,0.5,2.5,run\nz,1,2,jump\n")
    (folder / "clips.csv").write_text(head + "c,0.5,2.5,run\n")
    (folder / "other_clips.csv").write_text(head + "d,0.5,2.5,run\n")
    (folder / "videos").mkdir()
    (folder / "videos" / "v0000000.mp4").touch()
    own = yaml.safe_load((ROOT / "config" / "own_videos.yaml").read_text())
    one = own["datasets"]["mine"] | {"videos": "videos"}
    names = {
        "many": ("training.csv", "testing.csv"),
        "few": ("clips.csv", "other_clips.csv"),
    }
    sets = {
        name: one
        | {"annotations": {"training": train, "testing": test, "classes": None}}
        for name, (train, test) in names.items()
    }
    (folder / "planning.yaml").write_text(
        yaml.safe_dump(
            {
                "datasets": sets,
                "classification": "few",
                "pretrain": {"init": None},
                "frames": {"shard_videos": shard_videos},
            }
        )
    )


def plan(folder: Path) -> tuple[dict[str, int], float]:
    """Plan the target: how many jobs of each rule there would be, and peak MB."""
    command = [sys.executable, "-c", MEMORY, sys.executable, "-m", "snakemake"]
    command += ["--dry-run", "--quiet", "rules"]
    command += ["--snakefile", str(ROOT / "workflow" / "Snakefile"), "--cores", "1"]
    command += ["--configfile", str(ROOT / "config" / "config.yaml")]
    command += [str(folder / "planning.yaml")]
    done = subprocess.run(
        [*command, "--", TARGET], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    rows = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.M)
    jobs = {rule: int(count) for rule, count in rows}
    return jobs, jobs.pop("peak_kb") / 1024


def main(argv: Sequence[str] | None = None) -> None:
    """Plan both, print."""
    parser = options(__doc__, rounds=1)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--shard-videos", type=int, default=64)
    args = parser.parse_args(argv)
    show_facts()
    found: dict[str, tuple[dict[str, int], float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folders = {f"{n:,} shard jobs": Path(name) / str(n) for n in (FEW, args.jobs)}

        def planned(title: str) -> None:
            found[title] = plan(folders[title])

        for jobs, folder in zip((FEW, args.jobs), folders.values(), strict=True):
            folder.mkdir()
            write_project(folder, jobs, args.shard_videos)
        calls = {title: partial(planned, title) for title in folders}
        times = in_turn(calls, args.rounds, warm_up=False)
    rows = summary(times)
    show("a plan", rows)
    for title, (counts, megabytes) in found.items():
        print(f"{title}: {megabytes:.0f} MB, {counts}")
    finish(args.json, "planning", {"jobs_and_mb": found, "sides": rows})


if __name__ == "__main__":
    main()
