"""Where a detector errs, frame by frame.

For every class: AP with the interval that resampled videos give, AP of short and long
actions and of frames with few and many actions, and what its false detections are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ssdet.evaluate.false_detections import Detections, detections
from ssdet.evaluate.frame_table import FrameTable
from ssdet.evaluate.grouped_ap import grouped_ap, ranked, resampled_ap
from ssdet.evaluate.protocol import EvaluatedVideo
from ssdet.randomness import seed_of

Array = npt.NDArray[Any]
MOST_AT_ONCE = 4  # actions; frames with more are in the same group
ROUNDING_S = 1e-3  # lengths that exceed an edge by less are equal to it
COVERED = (2.5, 97.5)  # percentiles between which an interval lies


@dataclass(frozen=True)
class Group:
    """Some of the positives of every class.

    Attributes:
        what: `all`, `length` (of the action) or `simultaneous` (actions in the frame).
        name: for people.
    """

    what: str
    name: str


@dataclass(frozen=True)
class ErrorAnalysis:
    """What is found; G groups, the first of all positives.

    Attributes:
        groups: the G groups.
        ap: (K, G), NaN where a class has no positives in a group.
        low, high: (K, G), ends of the 95 % interval (`interval`); NaN where fewer than
            two videos have the class in that group.
        map: (G,), mean over the classes that have positives in a group.
        map_low, map_high: (G,), ends of its 95 % interval.
        rows: (K, G), positive frames, of those that were looked at.
        detections: of each class; None for classes without positives.
        instances: (K,), annotated actions.
        videos: (K,), videos with the class.
    """

    groups: tuple[Group, ...]
    ap: Array
    low: Array
    high: Array
    map: Array
    map_low: Array
    map_high: Array
    rows: Array
    detections: tuple[Detections | None, ...]
    instances: Array
    videos: Array


def analyse(
    table: FrameTable,
    videos: Sequence[EvaluatedVideo],
    classes: Mapping[str, int],
    resamples: int,
    seed: int,
) -> ErrorAnalysis:
    """Find where the scores of a table are wrong.

    Args:
        table: frames of `videos`.
        videos: what is evaluated.
        classes: number of each of the K classes.
        resamples: draws of as many videos, with replacement, for the intervals.
        seed: of these draws.
    """
    edges_s = length_edges([s.end_s - s.start_s for v in videos for s in v.segments])
    at_once = table.labels.sum(axis=0)
    groups = _groups(edges_s)
    drawn = np.random.default_rng(seed_of(seed, "errors")).multinomial(
        table.videos, np.full(table.videos, 1 / table.videos), size=resamples
    )
    ap = np.full((len(classes), len(groups)), np.nan)
    low, high = ap.copy(), ap.copy()
    rows = np.zeros(ap.shape, dtype=np.int64)
    found: list[Detections | None] = [None] * len(classes)
    total, present = np.zeros((2, resamples, len(groups)))
    for number in range(len(classes)):
        if not table.labels[number].any():
            continue
        of_class = ranked(table.scores[number], table.labels[number])
        lengths_s = table.length_s[number, of_class.rows]
        members = _members(lengths_s, at_once[of_class.rows], edges_s)
        ap[number], rows[number] = grouped_ap(of_class, members), members.sum(axis=1)
        found[number] = detections(table, number, of_class)
        again = resampled_ap(of_class, members, table.video, drawn)
        total += np.nan_to_num(again)
        present += ~np.isnan(again)
        for group, member in enumerate(members):
            if len(np.unique(table.video[of_class.rows[member]])) > 1:
                ends = interval(ap[number, group], again[:, group])
                low[number, group], high[number, group] = ends
    means = total / np.where(present > 0, present, np.nan)
    some = (rows > 0).any(axis=0)  # groups that are not empty
    mean, map_low, map_high = np.full((3, len(groups)), np.nan)
    for place in np.flatnonzero(some):
        mean[place] = np.nanmean(ap[:, place])
        map_low[place], map_high[place] = interval(mean[place], means[:, place])
    instances, in_videos = _support(videos, classes)
    return ErrorAnalysis(
        groups,
        ap,
        low,
        high,
        mean,
        map_low,
        map_high,
        rows,
        tuple(found),
        instances,
        in_videos,
    )


def interval(value: float, again: Array) -> tuple[float, float]:
    """Where 95 % of the values of resamples lie about their mean, laid about the value.

    Resampled APs are too high on average, because copies of a positive find each other;
    their spread is what is asked for.

    Args:
        value: of the whole.
        again: (R,), of the resamples; NaN where there is none.

    Returns:
        Both ends, in [0, 1]; NaN if no resample has a value.
    """
    if np.isnan(again).all():
        return np.nan, np.nan
    low, high = np.nanpercentile(again, COVERED) - np.nanmean(again) + value
    return float(max(low, 0.0)), float(min(high, 1.0))


def length_edges(seconds: Sequence[float]) -> list[float]:
    """Lengths that part actions into four groups of about equal number.

    Quartiles, rounded to 0.1 s; fewer where they coincide.
    """
    if not seconds:
        return []
    quartiles = np.quantile(seconds, (0.25, 0.5, 0.75))
    return sorted({round(float(quartile), 1) for quartile in quartiles})


def _groups(edges_s: Sequence[float]) -> tuple[Group, ...]:
    groups = [Group("all", "all")]
    bounds = [None, *edges_s, None]
    for low, high in pairwise(bounds):
        if low is None and high is None:
            name = "any"
        elif low is None:
            name = f"up to {high:g} s"
        else:
            name = f"over {low:g} s" if high is None else f"{low:g} to {high:g} s"
        groups.append(Group("length", name))
    for count in range(1, MOST_AT_ONCE + 1):
        more = " or more" if count == MOST_AT_ONCE else ""
        groups.append(Group("simultaneous", f"{count}{more}"))
    return tuple(groups)


def _members(lengths_s: Array, at_once: Array, edges_s: Sequence[float]) -> Array:
    """Which of P positives are in each group, (G, P): as `_groups` names them."""
    upper_s = np.asarray(edges_s) + ROUNDING_S
    by_length = np.searchsorted(upper_s, lengths_s, side="left")
    by_number = np.minimum(at_once, MOST_AT_ONCE)
    return np.stack(
        [
            np.ones(len(lengths_s), dtype=np.bool_),
            *(by_length == n for n in range(len(edges_s) + 1)),
            *(by_number == n for n in range(1, MOST_AT_ONCE + 1)),
        ]
    )


def _support(
    videos: Sequence[EvaluatedVideo], classes: Mapping[str, int]
) -> tuple[Array, Array]:
    """Actions, and videos that have any, of each class."""
    instances, in_videos = np.zeros((2, len(classes)), dtype=np.int64)
    for video in videos:
        for segment in video.segments:
            instances[classes[segment.label]] += 1
        for label in {segment.label for segment in video.segments}:
            in_videos[classes[label]] += 1
    return instances, in_videos
