"""The stage `figures`: AP of every class, and scores over time of a few test videos.

The files are SVG and a page to look around in, the same bytes for the same input.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssdet.files import atomic, write_text
from ssdet.report.ap_figure import ap_figure
from ssdet.report.result_streams import add_result_arguments, read_streams
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
    add_result_arguments(parser)
    parser.add_argument("--videos", type=int, required=True, help="in the timeline")
    parser.add_argument("--out-ap", type=Path, required=True, help="SVG")
    parser.add_argument("--out-timeline", type=Path, required=True, help="SVG")
    parser.add_argument("--out-page", type=Path, required=True, help="HTML")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, draw both figures, write the page."""
    args = arguments().parse_args(argv)
    found = read_streams(args, lambda videos: choose_videos(videos, args.videos))
    shown = (found.result, found.videos, found.streams, found.dataset.classes)
    matplotlib = load_matplotlib()
    with matplotlib.rc_context(STYLE):
        save(ap_figure(found.result), args.out_ap)
        save(timeline_figure(*shown), args.out_timeline)
    write_text(args.out_page, timeline_page(*shown))
    log.info("in %s, %s and %s", args.out_ap, args.out_timeline, args.out_page)


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
