"""The videos of a split as snippets, all in memory.

Source: spec of SPOT, section 3.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ssdet.config import SpotFeatures
from ssdet.data.annotations import VideoRecord
from ssdet.data.snippet_sources import SnippetSource
from ssdet.data.snippet_targets import Block, block_of
from ssdet.data.snippet_windows import cut, share_inside, window_starts
from ssdet.data.snippets import rescale

SHOWN = 20  # videos named in a message

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SnippetSet:
    """Videos with features, or windows of them: N items in all.

    Attributes:
        records: the video of each item, in the order given.
        features: (N, C, T).
        start_s: (N,), where the snippets of each begin.
        covered_s: (N,), seconds that they cover.
        inside: share of an action that a window must hold; 0: items are whole videos.
        missing: ids of the videos without features.
    """

    records: tuple[VideoRecord, ...]
    features: Tensor
    start_s: tuple[float, ...]
    covered_s: tuple[float, ...]
    inside: float
    missing: tuple[str, ...]

    @property
    def videos(self) -> int:
        """How many videos have features."""
        return len({record.video_id for record in self.records})

    def blocks(
        self,
        number: int,
        class_index: Mapping[str, int],
        compat: Literal["fixed", "reference"],
    ) -> list[Block]:
        """The actions of an item in snippets, in the order of the annotation."""
        covered, begin = self.covered_s[number], self.start_s[number]
        found = [
            block_of(
                (segment.start_s - begin) / covered,
                (segment.end_s - begin) / covered,
                class_index[segment.label],
                self.features.shape[2],
                compat,
            )
            for segment in self.records[number].segments
            if share_inside(segment.start_s, segment.end_s, begin, begin + covered)
            >= self.inside
        ]
        return [block for block in found if block is not None]


def read_snippets(
    source: SnippetSource,
    records: Sequence[VideoRecord],
    features: SpotFeatures,
    snippets: int,
    max_missing_fraction: float,
    durations_s: Mapping[str, float],
) -> SnippetSet:
    """Read the features of all videos, and bring them to a fixed number of snippets.

    Args:
        source: where they come from.
        records: the videos.
        features: what they must be; videos are resampled, or cut into windows.
        snippets: T.
        max_missing_fraction: share of the videos that may be without features; they
            are left out, and counted.
        durations_s: of videos whose duration the annotation does not state.

    Raises:
        ValueError: more videos have no features, no duration is known, or features have
            another width or length; the videos are named.
    """
    kept = [record for record in records if record.video_id in source]
    missing = [record.video_id for record in records if record.video_id not in source]
    _refuse_missing(kept, missing, len(records), max_missing_fraction)
    durations = [r.duration_s or durations_s.get(r.video_id) for r in kept]
    unknown = [r.video_id for r, d in zip(kept, durations, strict=True) if not d]
    if unknown:
        raise ValueError(
            f"how long {len(unknown)} videos are is not known: {_listed(unknown)}. The"
            " annotations or the inventory should state it"
        )
    items: list[tuple[VideoRecord, Tensor, float, float]] = []
    wrong = []
    for record, duration in zip(kept, durations, strict=True):
        rows = source.read(record.video_id)
        if rows.shape[1] != features.width or len(rows) != (
            features.length or len(rows)
        ):
            wrong.append(f"{record.video_id} {tuple(rows.shape)}")
            continue
        covered = source.covered_s(record.video_id, duration or 0.0)
        items += [(record, *part) for part in _parts(rows, covered, features, snippets)]
    if wrong:
        raise ValueError(
            f"the features of {len(wrong)} of {len(kept)} videos are not"
            f" ({features.length or 'any'}, {features.width}) as spot.features.length"
            f" and spot.features.width say: {_listed(wrong)}"
        )
    return SnippetSet(
        tuple(item[0] for item in items),
        torch.stack([item[1] for item in items]),
        tuple(item[2] for item in items),
        tuple(item[3] for item in items),
        features.windows.inside if features.windows else 0.0,
        tuple(missing),
    )


def _parts(
    rows: Tensor, covered_s: float, features: SpotFeatures, snippets: int
) -> list[tuple[Tensor, float, float]]:
    """Snippets (C, T) of a video or its windows; where they begin, what they cover."""
    if features.windows is None:
        return [(rescale(rows, snippets), 0.0, covered_s)]
    row_s = covered_s / len(rows)
    return [
        (cut(rows, start, snippets), start * row_s, snippets * row_s)
        for start in window_starts(len(rows), snippets, features.windows.overlap)
    ]


def _refuse_missing(
    kept: Sequence[VideoRecord],
    missing: Sequence[str],
    expected: int,
    max_missing_fraction: float,
) -> None:
    if not kept or len(missing) > max_missing_fraction * expected:
        raise ValueError(
            f"{len(missing)} of {expected} videos have no features:"
            f" {_listed(missing)}. Add them, or raise data.max_missing_fraction"
            f" ({max_missing_fraction:g})"
        )
    if missing:
        log.warning(
            "%d of %d videos have no features and are left out: %s",
            len(missing),
            expected,
            _listed(missing),
        )


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
