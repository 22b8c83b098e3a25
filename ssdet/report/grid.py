"""The stage `grid`: which frames a two-stream detector keeps of a few test videos.

The file is SVG, the same bytes for the same input.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from ssdet.config import DatasetRecipe
from ssdet.data.annotations import add_dataset_arguments, dataset_from_arguments
from ssdet.data.grids import Sampling
from ssdet.data.inventory import read_inventory
from ssdet.data.predictions import Predictions
from ssdet.evaluate.members import refuse_unfit
from ssdet.evaluate.protocol import evaluated_videos
from ssdet.report.figures import STYLE, load_matplotlib, save
from ssdet.report.grid_figure import grid_figure
from ssdet.report.timeline_figure import choose_videos
from ssdet.stage import StageError

REVISION = 1

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.report.grid")
    add_dataset_arguments(parser)
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--videos", type=int, required=True, help="how many to show")
    parser.add_argument("--out", type=Path, required=True, help="SVG")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, draw."""
    args = arguments().parse_args(argv)
    recipe = DatasetRecipe.model_validate_json(args.dataset)
    inventory = read_inventory(args.inventory)
    durations = {row.video_id: row.duration_s for row in inventory if row.frames}
    dataset = dataset_from_arguments(args, durations)
    videos, _ = evaluated_videos(dataset, inventory, recipe.fps)
    chosen = choose_videos(videos, args.videos)
    with Predictions(args.predictions) as predictions:
        refuse_unfit([predictions], dataset, videos)
        grids = {v.video_id: grid_of(predictions, v.video_id) for v in chosen}
    title = (
        f"{predictions.model} on {dataset.name}: frames kept of the test videos with"
        " the most actions"
    )
    with load_matplotlib().rc_context(STYLE):
        save(grid_figure(title, chosen, grids), args.out)
    log.info("grids of %d videos in %s", len(chosen), args.out)


def grid_of(predictions: Predictions, video_id: str) -> Sampling:
    """The grid of a video.

    Raises:
        StageError: the predictions have none.
    """
    grid = predictions.sampling(video_id)
    if grid is None:
        raise StageError(
            f"{predictions.path} does not say which frames of {video_id} were kept;"
            " only two-stream detectors with Grid Pool choose frames. If"
            f" {predictions.model} is one, run predict again"
        )
    return grid


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
