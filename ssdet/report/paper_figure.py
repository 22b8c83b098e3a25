"""The stage `paper_figure`: detection against multiply-adds, published and ours.

Ours lie at the multiply-adds that are counted for them, where a table of them is given,
else at those of the published mark. A result of several seeds is their mean.
"""

from __future__ import annotations

import argparse
import csv
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssdet.report.figures import STYLE, load_matplotlib, save
from ssdet.report.paper_tables import METRICS
from ssdet.report.published import Figure as Published
from ssdet.report.seeds import by_name, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REVISION = 2
MARKS = {"cls": "o", "joint": "^", "ensemble": "s", "literature": "D"}
COLOURS = ("#1f5f8b", "#b3261e", "#2e7d32", "#8e5ea2", "#c77800")
GREY = "#7a848c"
COUNT = "as_published_billion"  # column of a table of costs

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.report.paper_figure")
    parser.add_argument("--figure", required=True, help="its section, JSON")
    parser.add_argument(
        "--results", type=Path, nargs="*", default=[], help="JSON files there are"
    )
    parser.add_argument("--cost", type=Path, help="csv with the column name")
    parser.add_argument(
        "--generated", action="store_true", help="the videos were generated"
    )
    parser.add_argument("--out", type=Path, required=True, help="SVG")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, draw the figure."""
    args = arguments().parse_args(argv)
    published = Published.model_validate_json(args.figure)
    values = {}
    for name, seeds in by_name(args.results, published.dataset).items():
        value = percent(seeds, published.metric)
        if value is not None:
            values[name] = value
    costs = {} if args.cost is None else read_costs(args.cost)
    with load_matplotlib().rc_context(STYLE):
        save(paper_figure(published, values, costs, args.generated), args.out)
    log.info("%s with %d results of ours", args.out, len(values))


def read_costs(path: Path) -> dict[str, float]:
    """Multiply-adds (10^9) by result, of those that are counted.

    Raises:
        ValueError: the file has other columns.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if rows and not {"name", COUNT} <= set(rows[0]):
        raise ValueError(f"{path} must have the columns name and {COUNT}")
    return {row["name"]: float(row[COUNT]) for row in rows if row[COUNT]}


def paper_figure(
    published: Published,
    values: Mapping[str, float],
    costs: Mapping[str, float],
    generated: bool,
) -> Figure:
    """Draw hollow marks for published numbers, filled ones for ours, by variant.

    Args:
        published: the figure's section.
        values: ours by result, in percent.
        costs: multiply-adds of results, 10^9; those that are missing lie where the
            published mark does.
        generated: whether ours are of generated videos; no published mark then.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    axes = figure.subplots()
    ours = [s for s in published.series.values() if s.points[0].variant != "literature"]
    colours = {id(s): COLOURS[i % len(COLOURS)] for i, s in enumerate(ours)}
    for series in published.series.values():
        colour, drawn = colours.get(id(series), GREY), []
        for point in series.points:
            mark: dict[str, Any] = {"marker": MARKS[point.variant], "linestyle": "none"}
            x = point.multiply_adds_billion
            if not generated:
                drawn.append((x, point.published))
                axes.plot(*drawn[-1], markerfacecolor="none", color=colour, **mark)
            if point.result is not None and point.result in values:
                drawn.append((costs.get(point.result, x), values[point.result]))
                axes.plot(*drawn[-1], color=colour, **mark)
        if drawn:
            axes.annotate(
                series.label,
                drawn[0],
                xytext=(-6, -3),
                textcoords="offset points",
                ha="right",
                color=colour,
            )
    for variant, marker in MARKS.items():
        axes.plot([], [], marker, color="black", fillstyle="none", label=variant)
    axes.plot([], [], "o", color="black", label=f"ours, {METRICS[published.metric]}")
    axes.set_xscale("log")
    axes.set_xlim(left=axes.get_xlim()[0] / 2)  # room for names
    axes.set_xlabel("multiply-adds of 128 frames [10$^9$]")
    axes.set_ylabel("ours [%]" if generated else "published, and ours [%]")
    axes.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    title = f"{published.title}; hollow: published, {published.protocol}"
    if generated:
        title = f"{published.title}, but of generated videos"
    axes.set_title(title, fontsize=8)
    return figure


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
