"""A result with what its members say over time: what a figure of both begins with."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
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
from ssdet.evaluate.members import group_by_rate, mean_streams, refuse_unfit
from ssdet.evaluate.protocol import EvaluatedVideo, evaluated_videos
from ssdet.files import sha256
from ssdet.report.tables import read_result
from ssdet.stage import StageError

Choose = Callable[[Sequence[EvaluatedVideo]], Sequence[EvaluatedVideo]]


@dataclass(frozen=True)
class ResultStreams:
    """A result, and the scores behind it.

    Attributes:
        result: JSON of `ensemble`.
        dataset: that it is of.
        videos: those that are shown.
        streams: of each of them, the means of its members.
    """

    result: dict[str, Any]
    dataset: Dataset
    videos: Sequence[EvaluatedVideo]
    streams: dict[str, list[Stream]]


def add_result_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names a data set, a result of it and the result's members."""
    add_dataset_arguments(parser)
    parser.add_argument("--result", type=Path, required=True, help="JSON of ensemble")
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument(
        "--members", type=Path, nargs="+", required=True, help="files of predictions"
    )


def read_streams(
    args: argparse.Namespace, choose: Choose = lambda videos: videos
) -> ResultStreams:
    """Read what these arguments name.

    Args:
        args: with those of `add_result_arguments`.
        choose: which of the evaluated videos are shown.

    Raises:
        StageError: the result was computed from other members.
        ValueError: a file cannot be used.
    """
    recipe = DatasetRecipe.model_validate_json(args.dataset)
    result = read_result(args.result)
    inventory = read_inventory(args.inventory)
    durations = {row.video_id: row.duration_s for row in inventory if row.frames}
    dataset = dataset_from_arguments(args, durations)
    _refuse_other_members(args.result, result, args.members)
    videos, _ = evaluated_videos(dataset, inventory, recipe.fps)
    with ExitStack() as stack:
        members = [stack.enter_context(Predictions(path)) for path in args.members]
        refuse_unfit(members, dataset, videos)
        groups = group_by_rate(members, [video.video_id for video in videos])
        chosen = choose(videos)
        streams = mean_streams(groups, chosen)
    return ResultStreams(result, dataset, chosen, streams)


def _refuse_other_members(
    path: Path, result: dict[str, Any], members: Sequence[Path]
) -> None:
    expected = {member["sha256"]: member["path"] for member in result["members"]}
    found = {sha256(member): str(member) for member in members}
    if expected.keys() != found.keys():
        raise StageError(
            f"{path} was computed from {', '.join(expected.values())}, not from"
            f" {', '.join(found.values())} as they are now. Run ensemble again, or give"
            " the same members"
        )
