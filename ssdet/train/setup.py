"""What the stages that read videos share before their work: arguments and data."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ssdet.config import StoredFrames
from ssdet.data.annotations import (
    Dataset,
    VideoRecord,
    add_dataset_arguments,
    dataset_from_arguments,
)
from ssdet.data.frame_store import FrameStore
from ssdet.data.inventory import read_inventory
from ssdet.data.sampling import Timeline
from ssdet.data.shards import shard_name, shards_with
from ssdet.randomness import generator
from ssdet.stage import StageError


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names the data set, its inventory and its frames."""
    add_dataset_arguments(parser)
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument("--frames-dir", type=Path, required=True)
    parser.add_argument("--frames", required=True, help="config section, JSON")


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
    size = StoredFrames.model_validate_json(frames).shard_videos
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


def add_sections(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Add the config sections that are not arguments yet, as JSON."""
    known = {action.dest for action in parser._actions}
    for name in names:
        if name not in known:
            flag = "--" + name.replace("_", "-")
            parser.add_argument(flag, required=True, help="config section, JSON")
