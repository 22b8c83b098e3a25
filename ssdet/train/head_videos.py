"""The videos of a temporal head: a vector and labels for every step.

Source: spec of the heads, section 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssdet.config import HeadConfig
from ssdet.data.annotations import (
    Dataset,
    VideoRecord,
    add_dataset_arguments,
    dataset_from_arguments,
)
from ssdet.data.feature_store import FeatureStore
from ssdet.data.frame_labels import frame_labels
from ssdet.data.inventory import read_inventory
from ssdet.data.step_features import (
    FolderSteps,
    StepFeatures,
    StoredSteps,
    refuse_missing,
)
from ssdet.stage import StageError
from ssdet.train.heat_map import heat_map_target
from ssdet.train.setup import shards_of


@dataclass(frozen=True)
class LabelledSteps:
    """Videos with features and labels.

    Attributes:
        records: the videos.
        features: of all of them.
        classes: row of each class.
        durations_s: seconds of each video, by its annotation where it says so.
    """

    records: Sequence[VideoRecord]
    features: StepFeatures
    classes: Mapping[str, int]
    durations_s: Mapping[str, float]

    def of(self, records: Sequence[VideoRecord]) -> LabelledSteps:
        """The same for some of the videos."""
        return replace(self, records=records)

    def labels(self, record: VideoRecord) -> np.ndarray:
        """(C, F), 0 or 1: step f shows what happens at f / (F / T), strictly inside."""
        steps = self.features.steps(record.video_id)
        rate = steps / self.durations_s[record.video_id]
        return frame_labels(record.segments, self.classes, steps, rate)

    def heat_map(self, record: VideoRecord) -> np.ndarray:
        """(C, F), bells around the middle of every action."""
        steps = self.features.steps(record.video_id)
        duration_s = self.durations_s[record.video_id]
        return heat_map_target(record.segments, self.classes, steps, duration_s)

    def times_s(self, record: VideoRecord) -> np.ndarray:
        """Times (F,) for which the steps stand."""
        steps = self.features.steps(record.video_id)
        times: np.ndarray = np.arange(steps) / (
            steps / self.durations_s[record.video_id]
        )
        return times


def add_feature_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names a data set, its inventory and its shards."""
    add_dataset_arguments(parser)
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument("--frames", required=True, help="config section, JSON")


def open_steps(
    args: argparse.Namespace, cfg: HeadConfig, split: str, folder: str, external: bool
) -> tuple[Dataset, LabelledSteps]:
    """Open the videos of a split with their features.

    Args:
        args: of a parser with `add_feature_arguments`.
        cfg: says which features.
        split: `training` or `testing`.
        folder: where they lie.
        external: whether they are files of others, not the feature store's.

    Returns:
        The data set, and the split's videos that the inventory calls ok.

    Raises:
        StageError: there is no such video.
        ValueError: one has no features, or they are of other classes.
    """
    rows = read_inventory(args.inventory)
    durations = {row.video_id: row.duration_s for row in rows if row.status == "ok"}
    dataset = dataset_from_arguments(args, durations)
    records = [r for r in dataset.of(split) if r.video_id in durations]
    if not records:
        raise StageError(
            f"{dataset.name}: no video of split {split} is usable; look at the"
            " inventory's columns status and reason"
        )
    features: StepFeatures
    if external:
        features = FolderSteps(folder)
    else:
        store = FeatureStore(folder, shards_of(dataset, args.frames, split))
        store.require(classes=dataset.classes)
        features = StoredSteps(store, cfg.features)
    refuse_missing(features, [record.video_id for record in records])
    durations |= {r.video_id: r.duration_s for r in records if r.duration_s}
    return dataset, LabelledSteps(records, features, dataset.class_index, durations)
