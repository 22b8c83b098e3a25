"""Planning of ten thousand shard jobs by Snakemake.

    OMP_NUM_THREADS=1 python benchmarks/planning.py [--jobs 10000]

Makes up a table of one's own videos, one file for the rest, and asks for a two-stream
detector: its plan holds a job for the frames of every shard and one for their features.
Prints the jobs, and the seconds of processor time and of the clock that planning took.
"""

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
TARGET = "results/many/coarse_fine/cls_cls/checkpoint.pt"


def write_project(folder: Path, jobs: int, shard_videos: int) -> Path:
    """Write labels of so many videos that their plan has `jobs` shard jobs.

    Args:
        folder: where the labels and the configuration go.
        jobs: of extract_frames and extract_features together.
        shard_videos: videos in a shard.

    Returns:
        The configuration, to be given after config.yaml.
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
    path = folder / "planning.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "datasets": sets,
                "classification": "few",
                "pretrain": {"init": None},
                "frames": {"shard_videos": shard_videos},
            }
        )
    )
    return path


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


def main() -> None:
    """Read arguments, plan, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--shard-videos", type=int, default=64)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        config = write_project(Path(name), args.jobs, args.shard_videos)
        start = time.monotonic()
        jobs = plan(Path(name), config)
        took_s = time.monotonic() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{jobs.get('total', 0):,} jobs: {jobs}")
    print(
        f"{used.ru_utime + used.ru_stime:.1f} s of processor time, {took_s:.1f} s by"
        f" the clock, {used.ru_maxrss / 1024:.0f} MiB"
    )


if __name__ == "__main__":
    main()
