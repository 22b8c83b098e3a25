"""The members of an ensemble: whether they fit together, and their mean.

Source: coarse_fine, section 9.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np

from ssdet.data.annotations import Dataset
from ssdet.data.interpolate import Stream
from ssdet.data.predictions import Predictions
from ssdet.evaluate.protocol import EvaluatedVideo, refuse_other_videos
from ssdet.stage import StageError

SAME_S = 1e-6  # times that differ by less are the same
SPARE_ROWS = 2  # of one of two published files of a video
RATIO = 4  # sampled frames for each one that a coarse or slow stream sees


def refuse_unfit(
    members: Sequence[Predictions], dataset: Dataset, videos: Sequence[EvaluatedVideo]
) -> None:
    """See that every member predicts these videos and classes, and is there once.

    Raises:
        StageError: one does not; the message names the file and both values.
    """
    for member in members:
        refuse_other_classes(member, dataset)
        refuse_other_videos(member.path, member.video_ids, videos)
    counts = Counter(member.model for member in members)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        paths = [str(member.path) for member in members if member.model in twice]
        raise StageError(
            f"{', '.join(twice)} would count twice in the mean: {', '.join(paths)} are"
            " of the same model"
        )


def refuse_other_classes(member: Predictions, dataset: Dataset) -> None:
    """See that a file of predictions is of this data set and its classes.

    Raises:
        StageError: it is not; the message names the file and both values.
    """
    if member.dataset != dataset.name:
        raise StageError(
            f"{member.path} was predicted for the data set {member.dataset!r},"
            f" this is {dataset.name!r}"
        )
    if member.classes != dataset.classes:
        raise StageError(_other_classes(member, dataset))


def group_by_rate(
    members: Sequence[Predictions], video_ids: Sequence[str]
) -> list[list[Predictions]]:
    """Put members with the same rows at the same times together.

    Returns:
        One group for each rate: of single-stream members, of Coarse-Fine, and of those
        that see every 4th frame. Of heads on RGB and on flow, whose published files
        differ by a row or two in some videos, one group each.

    Raises:
        StageError: two members' rows differ in another way; names both files, the
            video, and both values.
    """
    groups: list[list[Predictions]] = []
    for member in members:
        for group in groups:
            if _first_difference(group[0], member, video_ids) is None:
                group.append(member)
                break
        else:
            groups.append([member])
    if len(groups) > 1 and not (
        _known_rates(groups, video_ids) or _nearly_same(groups, video_ids)
    ):
        first, other = groups[0][0], groups[-1][0]
        difference = _first_difference(first, other, video_ids)
        raise StageError(
            f"{other.path} does not fit {first.path}: {difference}. Members must"
            " predict at the same times; run predict again with the same frames,"
            " sampling.stride and predict.alignment"
        )
    return groups


def mean_streams(
    groups: Sequence[Sequence[Predictions]],
    videos: Sequence[EvaluatedVideo],
    score: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> dict[str, list[Stream]]:
    """The mean of each group's logits, for every video, weighted by its members.

    Args:
        groups: members, by the rate of their rows.
        videos: what is evaluated.
        score: what is averaged instead, made of a member's logits (T, K).
    """
    total = sum(len(group) for group in groups)
    streams = {}
    for video in videos:
        streams[video.video_id] = [
            Stream(
                mean_logits([score(member[video.video_id][0]) for member in group]),
                group[0].times_s(video.video_id),
                len(group) / total,
            )
            for group in groups
        ]
    return streams


def probabilities(logits: np.ndarray) -> np.ndarray:
    """The logistic function of logits of any shape, in float64."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64))))


def mean_logits(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Arithmetic mean (T, K) in float64 of some members' logits, each (T, K)."""
    return np.asarray(np.mean(np.stack(logits), axis=0, dtype=np.float64))


def _other_classes(member: Predictions, dataset: Dataset) -> str:
    ours, theirs = dataset.classes, member.classes
    if len(ours) != len(theirs):
        what = f"{len(theirs)} classes, the data set has {len(ours)}"
    else:
        k = next(k for k in range(len(ours)) if ours[k] != theirs[k])
        what = f"{theirs[k]!r} as class number {k}, the data set has {ours[k]!r}"
    return (
        f"{member.path} has {what}; predict and ensemble must be given the same class"
        f" list (datasets.{dataset.name}.annotations.classes)"
    )


def _first_difference(
    one: Predictions, other: Predictions, video_ids: Sequence[str]
) -> str | None:
    """What differs in the rows of the first video of which they differ."""
    for video_id in video_ids:
        a, b = one.times_s(video_id), other.times_s(video_id)
        if len(a) != len(b):
            return f"video {video_id} has {len(b)} rows, there it has {len(a)}"
        far = np.flatnonzero(np.abs(a - b) > SAME_S)
        if far.size:
            row = far[0]
            return (
                f"row {row} of video {video_id} stands for {b[row]:.6f} s, there for"
                f" {a[row]:.6f} s"
            )
    return None


def _nearly_same(
    groups: Sequence[Sequence[Predictions]], video_ids: Sequence[str]
) -> bool:
    """Whether the groups differ alone by a few rows, spread over the same time."""
    for video_id in video_ids:
        times = [group[0].times_s(video_id) for group in groups]
        counts = [len(some) for some in times]
        if max(counts) - min(counts) > SPARE_ROWS:
            return False
        if min(counts) < 2:  # no step to tell a time by
            return False
        ends = [len(some) * some[1] for some in times]
        if np.ptp(ends) > SAME_S * max(counts):
            return False
        for end, some in zip(ends, times, strict=True):
            even = np.linspace(0, end, len(some), endpoint=False)
            if np.abs(even - some).max() > SAME_S:
                return False
    return True


def _known_rates(
    groups: Sequence[Sequence[Predictions]], video_ids: Sequence[str]
) -> bool:
    """Whether each group can be of another kind, with the same sampled frames."""
    rows = [[group[0].rows(name) for group in groups] for name in video_ids]
    return any(
        all(
            set.intersection(
                *(steps(n) for steps, n in zip(kinds, counts, strict=True))
            )
            for counts in rows
        )
        for kinds in permutations((_of_single, _of_coarse_fine, _of_slow), len(groups))
    )


def _of_single(rows: int) -> set[int]:
    """Whole steps that a video may have of which a single stream gives so many rows.

    There is a row for a last step that is cut short, too.
    """
    return {max(rows - 1, 1), rows}


def _of_coarse_fine(rows: int) -> set[int]:
    """Likewise of Coarse-Fine, which gives 4 rows for each 4 whole steps begun."""
    return set() if rows % RATIO else set(range(max(rows - RATIO, 0) + 1, rows + 1))


def _of_slow(rows: int) -> set[int]:
    """Likewise of a stream that sees every 4th frame, as in SlowFast_det."""
    return _of_coarse_fine(RATIO * rows)
