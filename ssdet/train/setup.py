"""What the training stages share before their loop: arguments, data, identity."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssdet.config import FineConfig, FramesConfig, PretrainConfig, canonical_json
from ssdet.data.annotations import (
    Dataset,
    VideoRecord,
    add_dataset_arguments,
    dataset_from_arguments,
)
from ssdet.data.feature_store import FeatureStore
from ssdet.data.frame_store import FrameStore
from ssdet.data.inventory import read_inventory
from ssdet.data.sampling import Timeline
from ssdet.data.shards import shard_name, shards_with
from ssdet.files import sha256, sha256_text
from ssdet.provenance import block
from ssdet.randomness import generator
from ssdet.stage import StageError, add_device_argument, device_name
from ssdet.train.checkpoint import Rolling
from ssdet.train.distributed import World


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names the data set, its inventory and its frames."""
    add_dataset_arguments(parser)
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument("--frames-dir", type=Path, required=True)
    parser.add_argument("--frames", required=True, help="config section, JSON")


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every training stage takes."""
    add_data_arguments(parser)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--checkpoint-seconds", type=float, default=300.0)
    parser.add_argument("--out", type=Path, required=True)
    add_device_argument(parser)


@dataclass(frozen=True)
class Videos:
    """A data set with the frames of its usable videos."""

    dataset: Dataset
    store: FrameStore
    lost: Mapping[str, str]  # video -> why the inventory has no frames of it

    def of(self, split: str) -> tuple[VideoRecord, ...]:
        """The split's videos that have frames.

        Raises:
            StageError: there is none, or the inventory knows one of which the store has
                no frames.
        """
        records = tuple(
            record
            for record in self.dataset.of(split)
            if record.video_id not in self.lost
        )
        if not records:
            raise StageError(
                f"{self.dataset.name}: no video of split {split} has frames; look at"
                " the inventory's columns status and reason"
            )
        stored = set(self.store.video_ids)
        absent = [r.video_id for r in records if r.video_id not in stored]
        if absent:
            raise StageError(
                f"{len(absent)} of {len(records)} videos have no frames:"
                f" {', '.join(absent[:20])}. Rerun extract_frames, or list them in"
                " data.exclude"
            )
        return records

    def timeline(self, record: VideoRecord, stride: int) -> Timeline:
        """The clock of one video: its frames, over the duration its labels assume."""
        info = self.store.info(record.video_id)
        return Timeline(info.frames, record.duration_s or info.duration_s, stride)


def open_videos(args: argparse.Namespace, *splits: str) -> Videos:
    """Open the data set that the arguments name, with the frames of some splits."""
    rows = read_inventory(args.inventory)
    durations = {row.video_id: row.duration_s for row in rows if row.status == "ok"}
    dataset = dataset_from_arguments(args, durations)
    lost = {row.video_id: row.reason for row in rows if row.status != "ok"}
    names = shards_of(dataset, args.frames, *splits)
    return Videos(dataset, FrameStore(args.frames_dir, names), lost)


def shards_of(dataset: Dataset, frames: str, *splits: str) -> list[str]:
    """File names of the shards that hold videos of these splits.

    Whatever else lies in the folder is of another configuration, or not this job's.

    Args:
        dataset: whose videos they are.
        frames: the config section, JSON.
        splits: `training`, `testing`.
    """
    size = FramesConfig.model_validate_json(frames).shard_videos
    everything = [record.video_id for record in dataset.records]
    chosen = [record.video_id for split in splits for record in dataset.of(split)]
    return [shard_name(number) for number in shards_with(chosen, everything, size)]


def hold_out(
    records: tuple[VideoRecord, ...], fraction: float, seed: int
) -> tuple[tuple[VideoRecord, ...], tuple[VideoRecord, ...]]:
    """Set videos aside for validation, the same ones in every stage.

    Returns:
        The videos to train on, and those to validate on; of two or more videos at
        least one stays on each side, unless `fraction` is 0.
    """
    if fraction == 0 or len(records) < 2:
        return records, ()
    count = min(len(records) - 1, max(1, round(fraction * len(records))))
    order = generator(seed, "hold_out")
    chosen = set(torch.randperm(len(records), generator=order)[:count].tolist())
    kept = tuple(r for i, r in enumerate(records) if i not in chosen)
    held = tuple(r for i, r in enumerate(records) if i in chosen)
    return kept, held


# Parts of a job that its checkpoint keeps elsewhere, or that change no number of it.
NOT_CONFIG = ("revision", "parents", "classes", "processes")


def splits(config: PretrainConfig | FineConfig, world: World) -> int:
    """Groups of batch normalisation in this process's share of the batch.

    Raises:
        StageError: the share is not a whole number of groups.
    """
    share, rest = divmod(config.batch_size, world.size)
    if rest or share % config.bn_group:
        raise StageError(
            f"a batch of {config.batch_size} on {world.size} processes is not a whole"
            f" number of groups of bn_group ({config.bn_group}) on each; change"
            " resources.train.gpu, batch_size or bn_group"
        )
    return share // config.bn_group


def add_sections(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Add the config sections that are not arguments yet, as JSON."""
    known = {action.dest for action in parser._actions}
    for name in names:
        if name not in known:
            flag = "--" + name.replace("_", "-")
            parser.add_argument(flag, required=True, help="config section, JSON")


def job_of(
    args: argparse.Namespace,
    revision: int,
    sections: Sequence[str],
    parents: Mapping[str, Path],
    videos: Videos,
    world: World,
    **more: str,
) -> dict[str, Any]:
    """What a training run computes: nothing of where files lie or how fast it goes.

    The number of processes is part of it: each has its share of the batch, and its own
    groups' statistics.
    """
    return {
        **{name: json.loads(getattr(args, name)) for name in sections},
        **more,
        "name": args.name,
        "seed": args.seed,
        "revision": revision,
        "parents": {name: sha256(path) for name, path in parents.items()},
        "classes": list(videos.dataset.classes),
        "frames_made": identity(videos.store),
        "processes": world.size,
    }


def identity(store: FrameStore | FeatureStore) -> str:
    """A hash of how the files of a store were made; they are too large to hash."""
    return sha256_text(canonical_json(store.attributes))


def check_parents(parents: Mapping[str, Path]) -> None:
    """See that what a run starts from is there.

    Raises:
        StageError: a parent is not there.
    """
    for name, path in parents.items():
        if not path.is_file():
            what = "checkpoint" if name == "init" else "file"
            raise StageError(f"no {what} at {path} (--{name})")


def finish(
    args: argparse.Namespace,
    rolling: Rolling,
    stage: str,
    job: Mapping[str, Any],
    parents: Mapping[str, Path],
    weights: Mapping[str, Tensor],
    classes: Sequence[str],
    started: str,
    world: World,
) -> None:
    """Write the checkpoint (nothing volatile in it) and the record of the run."""
    config = {name: value for name, value in job.items() if name not in NOT_CONFIG}
    gpus = world.size if world.device.type == "cuda" else 0
    checkpoint = {
        "stage": stage,
        "revision": job["revision"],
        "config": config,
        "parents": job["parents"],
        "classes": list(classes),
        "weights": dict(weights),
    }
    record = block(
        stage,
        job["revision"],
        config,
        parents,
        started,
        device_name(world.device),
        gpus,
    )
    rolling.finish(args.out, checkpoint, {"provenance": record})
