"""The stage `errors`: where a result is wrong, frame by frame, as tables and a figure.

Two csv files: one row for each class, and one for each group of frames; percentages are
not rounded, and cells without a value are empty. The figure shows both.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssdet.evaluate.error_analysis import ErrorAnalysis, analyse
from ssdet.evaluate.false_detections import KINDS
from ssdet.evaluate.frame_table import frame_table
from ssdet.files import write_text
from ssdet.report import table_text
from ssdet.report.error_figure import error_figure
from ssdet.report.figures import STYLE, load_matplotlib, save
from ssdet.report.result_streams import add_result_arguments, read_streams

REVISION = 1

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.report.errors")
    add_result_arguments(parser)
    parser.add_argument("--boundary-s", type=float, required=True, help="seconds")
    parser.add_argument("--resamples", type=int, required=True, help="for intervals")
    parser.add_argument("--seed", type=int, required=True, help="of the resamples")
    parser.add_argument("--out-classes", type=Path, required=True, help="csv")
    parser.add_argument("--out-groups", type=Path, required=True, help="csv")
    parser.add_argument("--out-figure", type=Path, required=True, help="SVG")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, look for errors, write both tables and the figure."""
    args = arguments().parse_args(argv)
    found = read_streams(args)
    classes, index = found.dataset.classes, found.dataset.class_index
    table = frame_table(found.videos, found.streams, index, args.boundary_s)
    analysis = analyse(table, found.videos, index, args.resamples, args.seed)
    write_text(args.out_classes, as_csv(class_rows(found.result, analysis, classes)))
    write_text(args.out_groups, as_csv(group_rows(analysis)))
    matplotlib = load_matplotlib()
    with matplotlib.rc_context(STYLE):
        figure = error_figure(found.result, analysis, classes, args.boundary_s)
        save(figure, args.out_figure)
    log.info(
        "errors, from every %d. frame, in %s, %s and %s",
        table.step,
        args.out_classes,
        args.out_groups,
        args.out_figure,
    )


def class_rows(
    result: Mapping[str, Any], analysis: ErrorAnalysis, classes: Sequence[str]
) -> list[dict[str, object]]:
    """One row for each class: AP as in the result, its interval, groups, errors."""
    scored = {row["class"]: row for row in result["metrics"]["per_class"]}
    rows = []
    for number, name in enumerate(classes):
        row: dict[str, object] = {
            "class": name,
            "ap_percent": _percent(scored[name]["ap"]),
            "ap_low_percent": _percent(analysis.low[number, 0]),
            "ap_high_percent": _percent(analysis.high[number, 0]),
            "chance_percent": _percent(scored[name]["chance"]),
            "positive_frames": scored[name]["positives"],
            "actions": int(analysis.instances[number]),
            "videos": int(analysis.videos[number]),
        }
        for group, ap in zip(analysis.groups[1:], analysis.ap[number, 1:], strict=True):
            row[f"ap_percent_{group.what}_{group.name}".replace(" ", "_")] = _percent(
                ap
            )
        found = analysis.detections[number]
        for place, kind in enumerate(KINDS):
            share = None if found is None else found.counts[place] / found.counts.sum()
            row[f"{kind}_percent"] = _percent(share)
        other = None if found is None else found.confused_with
        row["confused_with"] = None if other is None else classes[other]
        rows.append(row)
    return rows


def group_rows(analysis: ErrorAnalysis) -> list[dict[str, object]]:
    """One row for each group: mean AP, its interval, how many frames and classes."""
    return [
        {
            "what": group.what,
            "group": group.name,
            "map_percent": _percent(analysis.map[number]),
            "map_low_percent": _percent(analysis.map_low[number]),
            "map_high_percent": _percent(analysis.map_high[number]),
            "classes": int((analysis.rows[:, number] > 0).sum()),
            "frames": int(analysis.rows[:, number].sum()),
        }
        for number, group in enumerate(analysis.groups)
    ]


def as_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """The rows as csv, in full precision."""
    return table_text.as_csv(rows, list(rows[0]))


def _percent(share: float | None) -> float | None:
    return None if share is None or np.isnan(share) else 100 * float(share)


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
