"""The stage `ensemble`: average the members' logits and score them.

An ensemble is the arithmetic mean of its members' clip-rate logits, which are then
interpolated to the frames. The mean and the interpolation commute, so members of
different clip rates (single-stream: T rows, two-stream: 4 ceil(T / 4) rows over the
same span) are interpolated first and averaged at the frames, to the same end. What the
mean of their probabilities would give stands beside it: which of the two the paper
averaged is not stated.

Source: ssdet, section 3.8; coarse_fine, section 9; heads_and_evaluation, section 3.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ssdet.config import DatasetRecipe
from ssdet.data.annotations import (
    Dataset,
    add_dataset_arguments,
    dataset_from_arguments,
)
from ssdet.data.interpolate import Stream
from ssdet.data.inventory import read_inventory
from ssdet.data.predictions import Predictions
from ssdet.evaluate.members import (
    group_by_rate,
    mean_streams,
    probabilities,
    refuse_unfit,
)
from ssdet.evaluate.protocol import EvaluatedVideo, Lost, evaluated_videos
from ssdet.evaluate.ranking import (
    Scores,
    dense_scores,
    instant_scores,
    means_of,
    metrics_of,
)
from ssdet.files import sha256, write_text
from ssdet.metrics import mean_over_present
from ssdet.provenance import block, label_files, now
from ssdet.sealed_json import sealed

REVISION = 2

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
            own, of_probabilities = [metrics["dense_map"]], None
        else:
            own = [own_dense_map(m, videos, dataset, args.workers) for m in members]
            means = mean_streams(groups, videos, probabilities)
            scores = scored(videos, lost, means, dataset, args.workers)
            of_probabilities = means_of(*scores)
        metrics["probability_mean"] = of_probabilities
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
    result["provenance"] = block(
        "ensemble",
        REVISION,
        {"dataset": json.loads(args.dataset), **json.loads(args.sections)},
        _parents(args, members),
        started,
    )
    text = json.dumps(sealed(result), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(args.out, text + "\n")
    log.info("%s", summary(result))


def evaluate(
    videos: Sequence[EvaluatedVideo],
    lost: Sequence[Lost],
    streams: Mapping[str, Sequence[Stream]],
    dataset: Dataset,
    threads: int,
) -> dict[str, Any]:
    """The `metrics` of a result."""
    dense, instants = scored(videos, lost, streams, dataset, threads)
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


def scored(
    videos: Sequence[EvaluatedVideo],
    lost: Sequence[Lost],
    streams: Mapping[str, Sequence[Stream]],
    dataset: Dataset,
    threads: int,
) -> tuple[Scores, Scores]:
    """Average precision over every frame, and at the 25 instants."""
    classes = dataset.class_index
    dense = dense_scores(videos, streams, classes, threads)
    return dense, instant_scores(videos, lost, streams, classes, threads)


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


def _parents(
    args: argparse.Namespace, members: Sequence[Predictions]
) -> dict[str, Path]:
    parents = {f"predictions/{m.model}": m.path for m in members}
    return {**parents, **label_files(args), "inventory": args.inventory}


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
