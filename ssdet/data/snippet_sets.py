"""The videos of a split as snippets, all in memory.

Source: spec of SPOT, section 3.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ssdet.config import canonical_json
from ssdet.data.annotations import VideoRecord
from ssdet.data.feature_store import FeatureStore
from ssdet.data.snippet_targets import Block, block_of
from ssdet.data.snippets import covered_s, rescale
from ssdet.files import sha256_text

SHOWN = 20  # videos named in a message

log = logging.getLogger(__name__)


class SnippetSource(Protocol):
    """Where features come from: `StoredSnippets` or `FeatureFiles`."""

    def __contains__(self, video_id: str) -> bool: ...

    @property
    def identity(self) -> str:
        """A hash that another set of features does not have."""
        ...

    def read(self, video_id: str) -> Tensor:
        """Features (L, C) of a video."""
        ...

    def covered_s(self, video_id: str, duration_s: float) -> float:
        """Seconds of the video that they cover."""
        ...


class StoredSnippets:
    """Features of extract_features, the mean of one map over the picture."""

    def __init__(self, folder: Path, names: Sequence[str], map_name: str) -> None:
        """Open the shards `names` in `folder`, to read `map_name` of them.

        Raises:
            ValueError: see `FeatureStore`.
        """
        self.store, self.map_name = FeatureStore(folder, names), map_name
        self._ids = set(self.store.video_ids)

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._ids

    @property
    def identity(self) -> str:
        """A hash of how the features were made, the same for both splits."""
        made = {k: v for k, v in self.store.attributes.items() if k != "split"}
        return sha256_text(canonical_json([self.map_name, made]))

    def read(self, video_id: str) -> Tensor:
        """Features (L, C) of a video, float32."""
        rows = self.store.info(video_id).length
        maps = self.store.read(video_id, 0, rows, [self.map_name])[self.map_name]
        return maps.float().mean((2, 3)).T  # (L, C)

    def covered_s(self, video_id: str, duration_s: float) -> float:
        """Seconds that the rows cover, each `stride` frames."""
        info = self.store.info(video_id)
        frames = info.length * int(self.store.attributes["stride"])
        return covered_s(duration_s, frames, info.n_frames)


@dataclass(frozen=True)
class SnippetSet:
    """Videos with features.

    Attributes:
        records: of the N videos that have features, in the order given.
        features: (N, C, T).
        covered_s: (N,), seconds that the snippets of each cover.
        missing: ids of the videos without features.
    """

    records: tuple[VideoRecord, ...]
    features: Tensor
    covered_s: tuple[float, ...]
    missing: tuple[str, ...]

    def blocks(
        self, number: int, class_index: dict[str, int], compat: str
    ) -> list[Block]:
        """The actions of a video in snippets, in the order of the annotation."""
        covered, snippets = self.covered_s[number], self.features.shape[2]
        found = [
            block_of(
                segment.start_s / covered,
                segment.end_s / covered,
                class_index[segment.label],
                snippets,
                "reference" if compat == "reference" else "fixed",
            )
            for segment in self.records[number].segments
        ]
        return [block for block in found if block is not None]


def read_snippets(
    source: SnippetSource,
    records: Sequence[VideoRecord],
    width: int,
    snippets: int,
    max_missing_fraction: float,
    durations_s: Mapping[str, float],
) -> SnippetSet:
    """Read and resample the features of all videos.

    Args:
        source: where they come from.
        records: the videos.
        width: C that the features must have.
        snippets: T.
        max_missing_fraction: share of the videos that may be without features; they
            are left out, and counted.
        durations_s: of videos whose duration the annotation does not state.

    Raises:
        ValueError: more videos have no features, no duration is known, or features have
            another width; the videos are named.
    """
    kept = [record for record in records if record.video_id in source]
    missing = [record.video_id for record in records if record.video_id not in source]
    if not kept or len(missing) > max_missing_fraction * len(records):
        raise ValueError(
            f"{len(missing)} of {len(records)} videos have no features:"
            f" {_listed(missing)}. Add them, or raise data.max_missing_fraction"
            f" ({max_missing_fraction:g})"
        )
    if missing:
        log.warning(
            "%d of %d videos have no features and are left out: %s",
            len(missing),
            len(records),
            _listed(missing),
        )
    durations = [r.duration_s or durations_s.get(r.video_id) for r in kept]
    unknown = [r.video_id for r, d in zip(kept, durations, strict=True) if not d]
    if unknown:
        raise ValueError(
            f"how long {len(unknown)} videos are is not known: {_listed(unknown)}. The"
            " annotations or the inventory should state it"
        )
    features = torch.empty(len(kept), width, snippets)
    wrong = []
    for place, record in zip(features, kept, strict=True):
        rows = source.read(record.video_id)
        if rows.shape[1] == width:
            place.copy_(rescale(rows, snippets))
        else:
            wrong.append(f"{record.video_id} ({rows.shape[1]})")
    if wrong:
        raise ValueError(
            f"the features of {len(wrong)} of {len(kept)} videos are not {width} wide"
            f" (spot.features.width): {_listed(wrong)}"
        )
    covered = [
        source.covered_s(record.video_id, duration or 0.0)
        for record, duration in zip(kept, durations, strict=True)
    ]
    return SnippetSet(tuple(kept), features, tuple(covered), tuple(missing))


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
