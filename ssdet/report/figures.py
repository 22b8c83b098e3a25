"""The stage `figures`: AP of every class, and scores over time of a few test videos.

The files are SVG and a page to look around in, the same bytes for the same input.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssdet.config import DatasetRecipe
from ssdet.data.annotations import add_dataset_arguments, dataset_from_arguments
from ssdet.data.inventory import read_inventory
from ssdet.data.predictions import Predictions
from ssdet.evaluate.members import group_by_rate, mean_streams, refuse_unfit
from ssdet.evaluate.protocol import evaluated_videos
from ssdet.files import atomic, sha256, write_text
from ssdet.report.ap_figure import ap_figure
from ssdet.report.tables import read_result
from ssdet.report.timeline_figure import choose_videos, timeline_figure
from ssdet.report.timeline_page import timeline_page
from ssdet.stage import StageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REVISION = 2
STYLE = {
    "svg.hashsalt": "ssdet",  # else ids in the file are random
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
}

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.report.figures")
    add_dataset_arguments(parser)
    parser.add_argument("--result", type=Path, required=True, help="JSON of ensemble")
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument(
        "--members", type=Path, nargs="+", required=True, help="files of predictions"
    )
    parser.add_argument("--videos", type=int, required=True, help="in the timeline")
    parser.add_argument("--out-ap", type=Path, required=True, help="SVG")
    parser.add_argument("--out-timeline", type=Path, required=True, help="SVG")
    parser.add_argument("--out-page", type=Path, required=True, help="HTML")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, draw both figures, write the page."""
    args = arguments().parse_args(argv)
    recipe = DatasetRecipe.model_validate_json(args.dataset)
    result = read_result(args.result)
    inventory = read_inventory(args.inventory)
    durations = {row.video_id: row.duration_s for row in inventory if row.frames}
    dataset = dataset_from_arguments(args, durations)
    refuse_other_members(args.result, result, args.members)
    videos, _ = evaluated_videos(dataset, inventory, recipe.fps)
    with ExitStack() as stack:
        members = [stack.enter_context(Predictions(path)) for path in args.members]
        refuse_unfit(members, dataset, videos)
        groups = group_by_rate(members, [video.video_id for video in videos])
        chosen = choose_videos(videos, args.videos)
        streams = mean_streams(groups, chosen)
    matplotlib = load_matplotlib()
    with matplotlib.rc_context(STYLE):
        save(ap_figure(result), args.out_ap)
        save(
            timeline_figure(result, chosen, streams, dataset.classes),
            args.out_timeline,
        )
    write_text(args.out_page, timeline_page(result, chosen, streams, dataset.classes))
    log.info("in %s, %s and %s", args.out_ap, args.out_timeline, args.out_page)


def refuse_other_members(
    path: Path, result: dict[str, Any], members: Sequence[Path]
) -> None:
    """See that the result was computed from these files of predictions.

    Raises:
        StageError: it was computed from others.
    """
    expected = {member["sha256"]: member["path"] for member in result["members"]}
    found = {sha256(member): str(member) for member in members}
    if expected.keys() != found.keys():
        raise StageError(
            f"{path} was computed from {', '.join(expected.values())}, not from"
            f" {', '.join(found.values())} as they are now. Run ensemble again, or give"
            " the same members"
        )


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, without the date, whole or not at all."""
    with atomic(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})


def load_matplotlib() -> Any:
    """Matplotlib, drawing to files.

    Raises:
        StageError: it is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise StageError(
            "figures need Matplotlib: pip install 'ssdet[report]'"
        ) from None
    matplotlib.use("Agg")
    return matplotlib


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
