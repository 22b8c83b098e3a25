"""The stage `challenge`: the file that the Charades challenge's own script scores.

The same mean of the members as in `ensemble`, at the 25 official instants of each
video. Lost videos have no lines: the script ranks them last.

Source: heads_and_evaluation, section 4.4.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssdet.config import DatasetRecipe
from ssdet.data.annotations import add_dataset_arguments, dataset_from_arguments
from ssdet.data.frame_labels import official_instants
from ssdet.data.interpolate import Stream, average
from ssdet.data.inventory import read_inventory
from ssdet.data.predictions import Predictions
from ssdet.evaluate.members import group_by_rate, mean_streams, refuse_unfit
from ssdet.evaluate.protocol import EvaluatedVideo, evaluated_videos
from ssdet.evaluate.submission import write_submission

REVISION = 1

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.evaluate.challenge")
    add_dataset_arguments(parser)
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument(
        "--members", type=Path, nargs="+", required=True, help="files of predictions"
    )
    parser.add_argument("--out", type=Path, required=True, help="the text file")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, check and average the members, write their scores."""
    args = arguments().parse_args(argv)
    recipe = DatasetRecipe.model_validate_json(args.dataset)
    inventory = read_inventory(args.inventory)
    durations = {row.video_id: row.duration_s for row in inventory if row.frames}
    dataset = dataset_from_arguments(args, durations)
    videos, _ = evaluated_videos(dataset, inventory, recipe.fps)
    with ExitStack() as stack:
        members = [stack.enter_context(Predictions(path)) for path in args.members]
        refuse_unfit(members, dataset, videos)
        groups = group_by_rate(members, [video.video_id for video in videos])
        streams = mean_streams(groups, videos)
    write_submission(args.out, official_rows(videos, streams))
    log.info("%d videos in %s", len(videos), args.out)


def official_rows(
    videos: Sequence[EvaluatedVideo], streams: Mapping[str, Sequence[Stream]]
) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """Each video with its mean logits (25, K) at the official instants."""
    for video in videos:
        at_s = official_instants(video.timeline.duration_s)
        yield video.video_id, average(streams[video.video_id], at_s)


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
