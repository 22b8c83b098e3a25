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
    CHILDREN,
    finish,
    in_turn,
    options,
    peak_mb,
    show,
    show_facts,
    summary,
)

ROOT = Path(__file__).resolve().parents[1]
FEW = 100  # jobs
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


def plan(folder: Path, config: Path) -> dict[str, int]:
    """Plan the target; returns how many jobs of each rule there would be."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules"]
    command += ["--snakefile", str(ROOT / "workflow" / "Snakefile"), "--cores", "1"]
    command += ["--configfile", str(ROOT / "config" / "config.yaml"), str(config)]
    done = subprocess.run(
        [*command, "--", TARGET], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    rows = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.M)
    return {rule: int(count) for rule, count in rows}


def main(argv: Sequence[str] | None = None) -> None:
    """Plan both, print."""
    parser = options(__doc__, rounds=1)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--shard-videos", type=int, default=64)
    args = parser.parse_args(argv)
    show_facts()
    found: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as name:

        def planned(jobs: int) -> None:
            folder = Path(name) / str(jobs)
            found[f"{jobs:,} shard jobs"] = plan(folder, folder / "planning.yaml")

        for jobs in (FEW, args.jobs):
            (Path(name) / str(jobs)).mkdir()
            write_project(Path(name) / str(jobs), jobs, args.shard_videos)
        calls = {f"{n:,} shard jobs": partial(planned, n) for n in (FEW, args.jobs)}
        times = in_turn(calls, args.rounds, warm_up=False)
    rows, memory = summary(times), peak_mb(CHILDREN)
    show("a plan", rows)
    for title, counts in found.items():
        print(f"{title}: {counts}")
    print(f"the largest plan takes {memory:.0f} MB")
    finish(args.json, "planning", {"jobs": found, "sides": rows, "memory_mb": memory})


if __name__ == "__main__":
    main()
