"""The stage `ensemble`: average the members' logits and score them.

An ensemble is the arithmetic mean of its members' clip-rate logits, which are then
interpolated to the frames. The mean and the interpolation commute, so members of
different clip rates (single-stream: T rows, two-stream: 4 ceil(T / 4) rows over the
same span) are interpolated first and averaged at the frames, to the same end.

Source: ssdet, section 3.8; coarse_fine, section 9.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ssdet.config import DatasetRecipe
from ssdet.data.annotations import (
    Dataset,
    add_dataset_arguments,
    dataset_from_arguments,
)
from ssdet.data.frame_labels import official_instants
from ssdet.data.inventory import read_inventory
from ssdet.data.predictions import Predictions
from ssdet.evaluate.protocol import (
    EvaluatedVideo,
    Lost,
    Stream,
    average,
    dense_scores,
    evaluated_videos,
    instant_scores,
    metrics_of,
    refuse_other_videos,
)
from ssdet.evaluate.submission import write_submission
from ssdet.files import sha256, write_text
from ssdet.metrics import mean_over_present
from ssdet.provenance import block, now
from ssdet.stage import StageError

REVISION = 1
SAME_S = 1e-6  # times that differ by less are the same

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.evaluate.ensemble")
    add_dataset_arguments(parser)
    parser.add_argument("--result-name", required=True, help="name of the result")
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument(
        "--members", type=Path, nargs="+", required=True, help="files of predictions"
    )
    parser.add_argument("--seed", type=int, required=True, help="of the members")
    parser.add_argument(
        "--sections", required=True, help="config sections for the record, JSON"
    )
    parser.add_argument("--workers", type=int, default=1, help="threads")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file")
    parser.add_argument(
        "--submission", type=Path, help="also write the challenge's text file"
    )
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, check and average the members, score them, write the result."""
    args = arguments().parse_args(argv)
    started = now()
    recipe = DatasetRecipe.model_validate_json(args.dataset)
    inventory = read_inventory(args.inventory)
    durations = {row.video_id: row.duration_s for row in inventory if row.frames}
    dataset = dataset_from_arguments(args, durations)
    videos, lost = evaluated_videos(dataset, inventory, recipe.fps)
    with ExitStack() as stack:
        members = [stack.enter_context(Predictions(path)) for path in args.members]
        refuse_unfit(members, dataset, videos)
        groups = group_by_rate(members, [video.video_id for video in videos])
        means = mean_streams(groups, videos)
        metrics = evaluate(videos, lost, means, dataset, args.workers)
        if len(members) == 1:
            own = [metrics["dense_map"]]
        else:
            own = [own_dense_map(m, videos, dataset, args.workers) for m in members]
        result = {
            "dataset": dataset.name,
            "name": args.result_name,
            "metrics": metrics,
            "videos": {
                "expected": len(videos) + len(lost),
                "evaluated": len(videos),
                "missing": len(lost),
                "missing_videos": [
                    {"video_id": v.video_id, "status": v.status, "reason": v.reason}
                    for v in lost
                ],
            },
            "members": [
                {
                    "model": member.model,
                    "path": str(member.path),
                    "sha256": sha256(member.path),
                    "checkpoint_sha256": member.checkpoint_sha256,
                    "dense_map": dense_map,
                }
                for member, dense_map in zip(members, own, strict=True)
            ],
            "irregularities": dataset.irregularities,
            "seed": args.seed,
        }
    if args.submission:
        write_submission(args.submission, official_rows(videos, means))
    result["provenance"] = block(
        "ensemble",
        REVISION,
        {"dataset": json.loads(args.dataset), **json.loads(args.sections)},
        _parents(args, members),
        started,
    )
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(args.out, text + "\n")
    log.info("%s", summary(result))


def refuse_unfit(
    members: Sequence[Predictions], dataset: Dataset, videos: Sequence[EvaluatedVideo]
) -> None:
    """See that every member predicts these videos and classes, and is there once.

    Raises:
        StageError: one does not; the message names the file and both values.
    """
    for member in members:
        if member.dataset != dataset.name:
            raise StageError(
                f"{member.path} was predicted for the data set {member.dataset!r},"
                f" this is {dataset.name!r}"
            )
        if member.classes != dataset.classes:
            raise StageError(_other_classes(member, dataset))
        refuse_other_videos(member.path, member.video_ids, videos)
    counts = Counter(member.model for member in members)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        paths = [str(member.path) for member in members if member.model in twice]
        raise StageError(
            f"{', '.join(twice)} would count twice in the mean: {', '.join(paths)} are"
            " of the same model"
        )


def group_by_rate(
    members: Sequence[Predictions], video_ids: Sequence[str]
) -> list[list[Predictions]]:
    """Put members with the same rows at the same times together.

    Returns:
        One group, or two: of single-stream and of two-stream members.

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
    first = groups[0][0]
    for group in groups[1:]:
        if len(groups) > 2 or not _two_rates(first, group[0], video_ids):
            difference = _first_difference(first, group[0], video_ids)
            raise StageError(
                f"{group[0].path} does not fit {first.path}: {difference}. Members must"
                " predict at the same times; run predict again with the same frames,"
                " sampling.stride and predict.alignment"
            )
    return groups


def mean_streams(
    groups: Sequence[Sequence[Predictions]], videos: Sequence[EvaluatedVideo]
) -> dict[str, list[Stream]]:
    """The mean of each group's logits, for every video, weighted by its members."""
    total = sum(len(group) for group in groups)
    streams = {}
    for video in videos:
        streams[video.video_id] = [
            Stream(
                mean_logits([member[video.video_id][0] for member in group]),
                group[0].times_s(video.video_id),
                len(group) / total,
            )
            for group in groups
        ]
    return streams


def mean_logits(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Arithmetic mean (T, K) in float64 of some members' logits, each (T, K)."""
    return np.asarray(np.mean(np.stack(logits), axis=0, dtype=np.float64))


def evaluate(
    videos: Sequence[EvaluatedVideo],
    lost: Sequence[Lost],
    streams: Mapping[str, Sequence[Stream]],
    dataset: Dataset,
    threads: int,
) -> dict[str, Any]:
    """The `metrics` of a result."""
    dense = dense_scores(videos, streams, dataset.class_index, threads)
    instants = instant_scores(videos, lost, streams, dataset.class_index, threads)
    absent = [
        name
        for name, count in zip(dataset.classes, dense.positives, strict=True)
        if not count
    ]
    if absent:
        log.warning(
            "%d of %d classes are in no test frame and are left out of the means: %s",
            len(absent),
            len(dataset.classes),
            ", ".join(absent),
        )
    return metrics_of(dense, instants, dataset.classes)


def own_dense_map(
    member: Predictions,
    videos: Sequence[EvaluatedVideo],
    dataset: Dataset,
    threads: int,
) -> float:
    """Dense mAP of one member alone."""
    streams = {v.video_id: [Stream(*member[v.video_id])] for v in videos}
    scores = dense_scores(videos, streams, dataset.class_index, threads)
    return mean_over_present(scores.ap)


def official_rows(
    videos: Sequence[EvaluatedVideo], streams: Mapping[str, Sequence[Stream]]
) -> list[tuple[str, np.ndarray]]:
    """Mean logits (25, K) of every video at the official instants."""
    rows = []
    for video in videos:
        at_s = official_instants(video.timeline.duration_s)
        rows.append((video.video_id, average(streams[video.video_id], at_s)))
    return rows


def summary(result: Mapping[str, Any]) -> str:
    """The result as a small table."""
    metrics, videos = result["metrics"], result["videos"]
    chance = metrics["chance"]
    lines = [f"{result['name']} on {result['dataset']}, in percent:"]
    for key in ("dense_map", "map_25", "map_25_weighted"):
        if metrics[key] is None:
            lines.append(f"  {key:<16}   none: no action is shown at any instant")
            continue
        value = f"{100 * metrics[key]:7.2f}"
        lines.append(f"  {key:<16}{value}   (chance {100 * chance[key]:.2f})")
    lines.append(
        f"  {videos['evaluated']} of {videos['expected']} test videos,"
        f" {len(result['members'])} members:"
    )
    for member in result["members"]:
        lines.append(f"  {member['model']:<16}{100 * member['dense_map']:7.2f}")
    return "\n".join(lines)


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


def _two_rates(one: Predictions, other: Predictions, video_ids: Sequence[str]) -> bool:
    """Whether one is of a single-stream and the other of a two-stream detector."""
    rows = [(one.rows(name), other.rows(name)) for name in video_ids]
    return all(_unpooled(a, b) for a, b in rows) or all(
        _unpooled(b, a) for a, b in rows
    )


def _unpooled(rows: int, unpooled: int) -> bool:
    """Whether a two-stream detector gives so many rows where a single stream has T.

    It gives 4 ceil(T' / 4) for the T' whole steps of the video; the last of the T
    steps may be cut short, so T' is T or T - 1.
    """
    return unpooled in {4 * -(-steps // 4) for steps in (rows, max(rows - 1, 1))}


def _parents(
    args: argparse.Namespace, members: Sequence[Predictions]
) -> dict[str, Path]:
    parents = {f"predictions/{m.model}": m.path for m in members}
    labels = {name: getattr(args, name) for name in ("training", "testing", "classes")}
    parents |= {f"labels/{name}": Path(path) for name, path in labels.items() if path}
    return {**parents, "inventory": args.inventory}


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
