"""What the stages of SPOT share before their work: arguments, features, identity."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ssdet.config import DataConfig, SpotFeatures, SpotNetwork
from ssdet.data.annotations import (
    Dataset,
    add_dataset_arguments,
    dataset_from_arguments,
)
from ssdet.data.feature_files import FeatureFiles, read_video_table
from ssdet.data.inventory import read_inventory
from ssdet.data.snippet_sets import SnippetSet, read_snippets
from ssdet.data.snippet_sources import SnippetSource, StoredSnippets
from ssdet.provenance import Parent
from ssdet.stage import StageError
from ssdet.train.distributed import World
from ssdet.train.run import Run, add_run_arguments, begin_from
from ssdet.train.setup import add_sections, hold_out, shards_of

SECTIONS = ("dataset", "data", "network", "features")


@dataclass(frozen=True)
class SpotData:
    """The videos of one split as snippets.

    Attributes:
        dataset: whose videos they are.
        videos: those that have features.
        made: a hash of how the features were made.
        source: what a record says of their folder.
    """

    dataset: Dataset
    videos: SnippetSet
    made: str
    source: Mapping[str, Any]

    def parents(self, args: argparse.Namespace) -> dict[str, Parent]:
        """What a record says of the features, and of the table of their videos."""
        table = {"features_table": args.features_table} if args.features_table else {}
        return {"features": self.source, **table}


def add_snippet_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names a data set and the features of its videos."""
    add_dataset_arguments(parser)
    parser.add_argument("--inventory", default="", help="of its videos; may be empty")
    parser.add_argument("--frames", required=True, help="config section, JSON")
    parser.add_argument("--features-dir", type=Path, required=True)
    parser.add_argument("--features-table", default="", help="frames that they cover")
    add_sections(parser, SECTIONS)


def add_spot_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what both training stages take."""
    add_snippet_arguments(parser)
    add_run_arguments(parser)


def open_snippets(args: argparse.Namespace, split: str) -> SpotData:
    """Read the features of a split that the command line names.

    Raises:
        ValueError: labels or features cannot be used.
    """
    rows = read_inventory(Path(args.inventory)) if args.inventory else []
    durations = {row.video_id: row.duration_s for row in rows if row.status == "ok"}
    durations |= table_durations(args.features_table)
    dataset = dataset_from_arguments(args, durations)
    features = SpotFeatures.model_validate_json(args.features)
    source: SnippetSource
    if features.source == "store":
        names = shards_of(dataset, args.frames, split)
        source = StoredSnippets(args.features_dir, names, features.map)
    else:
        table = Path(args.features_table) if args.features_table else None
        source = FeatureFiles(args.features_dir, table)
    data = DataConfig.model_validate_json(args.data)
    videos = read_snippets(
        source,
        [r for r in dataset.of(split) if r.video_id not in data.exclude],
        features,
        SpotNetwork.model_validate_json(args.network).snippets,
        data.allowed(args.name),
        durations,
    )
    return SpotData(dataset, videos, source.identity, source.as_parent())


def table_durations(table: str) -> dict[str, float]:
    """How long videos are by the table of their features, under both of their names."""
    if not table:
        return {}
    facts = read_video_table(Path(table))
    return {
        name: fact.seconds
        for video_id, fact in facts.items()
        for name in (video_id, f"v_{video_id}")
    }


def begin_spot(
    stage: str,
    revision: int,
    sections: Sequence[str],
    args: argparse.Namespace,
    world: World,
    data: SpotData,
    parents: Mapping[str, str],
    **more: str,
) -> Run:
    """Say what a run computes: nothing of where files lie or how fast it goes.

    Args:
        stage: its name.
        revision: of the stage.
        sections: the config sections that it reads, as arguments.
        args: its command line.
        world: this process among the run's.
        data: its videos.
        parents: further files that it starts from, by name; empty ones are none.
        more: what else tells it from other runs.

    Raises:
        StageError: what it starts from is not there.
    """
    given = {"training": args.training, "inventory": args.inventory, **parents}
    files = {name: Path(path) for name, path in given.items() if path}
    return begin_from(
        files,
        stage,
        revision,
        sections,
        args,
        world,
        data.dataset.classes,
        data.parents(args),
        features_made=data.made,
        videos={
            "with_features": data.videos.videos,
            "without_features": len(data.videos.missing),
        },
        **more,
    )


def set_aside(
    videos: SnippetSet, numbers: Sequence[int], fraction: float, seed: int
) -> tuple[list[int], list[int]]:
    """Numbers of the items to train on and to validate on, out of `numbers`.

    All windows of a video are on one side.
    """
    own = {videos.records[n].video_id: videos.records[n] for n in numbers}
    _, held = hold_out(tuple(own.values()), fraction, seed)
    chosen = {record.video_id for record in held}
    return (
        [n for n in numbers if videos.records[n].video_id not in chosen],
        [n for n in numbers if videos.records[n].video_id in chosen],
    )


def check_choice(section: str, keep: str, held: Sequence[int]) -> None:
    """See that there is something to choose the best weights on.

    Raises:
        StageError: there is not.
    """
    if keep == "best" and not held:
        raise StageError(
            f"{section}.keep is best, but no video is set aside for choosing; raise"
            f" validation.fraction, or set {section}.keep to last"
        )


def weights_of(part: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of one part of a module, under its own names."""
    prefix = f"{part}."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in weights.items()
        if name.startswith(prefix)
    }
