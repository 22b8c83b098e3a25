"""The stage `extract_frames`: the frames of one shard of videos, packed."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ssdet.config import StoredFrames
from ssdet.data.frame_shard import VIDEO, PackedVideo, write_frames
from ssdet.data.inventory import read_inventory
from ssdet.data.pack import Failed, PackJob, died, pack_video
from ssdet.data.parallel import run_each
from ssdet.data.shards import ids_of_shard
from ssdet.data.video_files import is_frame_folder
from ssdet.files import only_one, sha256
from ssdet.progress import Progress
from ssdet.provenance import block, now

REVISION = 2
SHOWN = 20  # videos in a message

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.data.frames")
    parser.add_argument("--name", required=True, help="name of the data set")
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument(
        "--dataset", required=True, help="of its config section, fps; JSON"
    )
    parser.add_argument("--frames", required=True, help="config section, JSON")
    parser.add_argument("--shard", type=int, required=True, help="from 0")
    parser.add_argument("--workers", type=int, default=0, help="processes")
    parser.add_argument("--out", type=Path, required=True, help="the HDF5 file")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, decode the videos of a shard, write their frames."""
    args = arguments().parse_args(argv)
    started = now()
    fps = json.loads(args.dataset)["fps"]
    cfg = StoredFrames.model_validate_json(args.frames)
    rows = {row.video_id: row for row in read_inventory(args.inventory)}
    ids = ids_of_shard(rows, args.shard, cfg.shard_videos)
    with parts_folder(args.out) as parts:
        jobs = [
            PackJob(
                row.video_id,
                row.path,
                row.sha256,
                row.frames,
                fps or row.fps,
                cfg,
                parts / f"{number}.coded",
                row.fps if is_frame_folder(Path(row.path)) else None,
            )
            for number, row in enumerate(map(rows.__getitem__, ids))
            if row.status == "ok"
        ]
        packed = pack_all(jobs, args.workers, args.name, args.shard)
        attributes = {
            "revision": REVISION,
            "dataset": args.name,
            "shard": args.shard,
            "fps": fps or "native",
            "short_side": cfg.short_side,
            **coding(cfg),
            "shard_videos": cfg.shard_videos,
            "inventory_sha256": sha256(args.inventory),
        }
        write_frames(
            args.out,
            packed,
            attributes,
            lambda: block(
                "extract_frames",
                REVISION,
                {
                    "dataset": {"fps": fps},
                    "frames": json.loads(args.frames),
                },
                {"inventory": args.inventory},
                started,
            ),
        )
    frames = sum(len(video.offsets) for video in packed)
    log.info(
        "%s, shard %d: %d frames of %d videos, %d videos of the shard have none",
        args.name,
        args.shard,
        frames,
        len(packed),
        len(ids) - len(packed),
    )


def coding(cfg: StoredFrames) -> dict[str, Any]:
    """Attributes that tell how the frames are coded; `gop` marks video."""
    if cfg.video is not None:
        return {"storage": VIDEO, **cfg.video.model_dump(mode="json")}
    return {"jpeg_quality": cfg.jpeg_quality}


def pack_all(
    jobs: list[PackJob], workers: int, name: str, shard: int
) -> list[PackedVideo]:
    """Decode and pack videos; sorted by video_id.

    Args:
        jobs: one for each video.
        workers: processes; 0: none, work in this one.
        name: of the data set, for messages.
        shard: its number, for messages.

    Raises:
        ValueError: videos cannot be decoded; all are named.
    """
    packed: list[PackedVideo] = []
    failed: list[Failed] = []
    with Progress(len(jobs), "extract_frames", "video") as progress:
        for _, result in run_each(pack_video, jobs, workers, died):
            if isinstance(result, Failed):
                failed.append(result)
            else:
                packed.append(result)
            progress.advance()
    if failed:
        failed.sort(key=lambda video: video.video_id)
        lines = [f"{v.video_id}: {v.reason} ({v.path})" for v in failed[:SHOWN]]
        if len(failed) > SHOWN:
            lines.append(f"... and {len(failed) - SHOWN} more")
        raise ValueError(
            f"{len(failed)} of {len(jobs)} videos in shard {shard} of {name} cannot be"
            " used, although the inventory says ok:\n  "
            + "\n  ".join(lines)
            + "\nRun `inventory` again, or restore the files"
        )
    return sorted(packed, key=lambda video: video.video_id)


@contextmanager
def parts_folder(out: Path) -> Iterator[Path]:
    """An empty folder beside the output, on the same disk; removed at the end."""
    folder = out.with_name(f".{out.name}.parts")
    with only_one(folder, f"makes {out}"):
        for left in folder.glob("*.jpegs"):
            left.unlink()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    from ssdet.stage import run  # here: workers import this module, but need no torch

    run(main)
