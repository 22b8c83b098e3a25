"""The stage `overview`: results of a data set, how they were made and what it took.

Two pages: the results with the stages drawn and the hours of each, and where every
result came from. The hours also as csv and as Markdown.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ssdet.files import write_text
from ssdet.report import hours, table_text, tables
from ssdet.report.lineage import lineage
from ssdet.report.page import html_table, page
from ssdet.report.provenance_page import provenance_page
from ssdet.report.stage_graph import stage_graph
from ssdet.report.tables import read_result, row

REVISION = 1
SCORES = ("dense_map_percent", "map_25_percent", "map_25_weighted_percent")
STAGES = """\
<p class="note">The stages that ran, and what feeds them. Nearly every stage also reads
labels and inventory, and every network frames: these lines are left out where others
lead there.</p>
"""

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.report.overview")
    parser.add_argument(
        "--results", type=Path, nargs="+", required=True, help="JSON of one data set"
    )
    parser.add_argument(
        "--benchmarks", type=Path, required=True, help="folder of Snakemake's measures"
    )
    parser.add_argument(
        "--datasets", nargs="+", required=True, help="whose measures are counted"
    )
    parser.add_argument("--out-page", type=Path, required=True, help="HTML")
    parser.add_argument("--out-provenance", type=Path, required=True, help="HTML")
    parser.add_argument("--out-csv", type=Path, required=True, help="hours")
    parser.add_argument("--out-md", type=Path, required=True, help="hours")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, follow the results back, write pages and tables."""
    args = arguments().parse_args(argv)
    results = {str(path): read_result(path) for path in args.results}
    made = lineage(results)
    jobs = hours.read_jobs(args.benchmarks, args.datasets)
    rows = hours.hours_rows(jobs, made.values())
    shown = hours.shown([*rows, hours.total(rows)])
    names = {result["name"]: path for path, result in results.items()}
    dataset = next(iter(results.values()))["dataset"]
    text = table_text.as_markdown(shown, hours.COLUMNS, hours.NUMBERS) + hours.NOTE
    write_text(args.out_csv, table_text.as_csv(rows, hours.COLUMNS))
    write_text(args.out_md, text)
    write_text(args.out_page, overview_page(dataset, list(results.values()), rows))
    write_text(args.out_provenance, provenance_page(dataset, names, made))
    log.info("%d results, %d files in %s", len(results), len(made), args.out_page)


def overview_page(
    dataset: str,
    results: Sequence[Mapping[str, Any]],
    stages: Sequence[Mapping[str, Any]],
) -> str:
    """The page of results, stages and hours.

    Args:
        dataset: its name.
        results: of the stage ensemble, in the order they are shown.
        stages: the rows of hours.
    """
    columns = {name: text for name, text in tables.COLUMNS.items() if name != "dataset"}
    shown = hours.shown([*stages, hours.total(stages)])
    notes = {row["stage"]: [_note(row)] for row in stages}
    present = [row["stage"] for row in stages]
    body = [
        "<h2>Results</h2>",
        html_table(list(map(_row, results)), columns, tables.NUMBERS, SCORES),
        f'<p class="note">{_plain(tables.NOTE)}</p>',
        "<h2>Workflow</h2>",
        STAGES,
        f'<div class="scroll">{stage_graph(present, notes)}</div>',
        "<h2>What it took</h2>",
        html_table(shown, hours.COLUMNS, hours.NUMBERS),
        f'<p class="note">{_plain(hours.NOTE)}</p>',
    ]
    return page(f"{dataset} at a glance", "\n".join(body), ["overview.css"])


def _row(result: Mapping[str, Any]) -> dict[str, Any]:
    """The table's row; a single model is not named twice."""
    values = row(result)
    alone = values["members"] == values["name"]
    return {**values, "members": ""} if alone else values


def _note(stage: Mapping[str, Any]) -> str:
    """How many jobs, and how long they took."""
    jobs, taken = stage["jobs"], stage["hours"]
    if taken is None:
        return "not measured"
    seconds, unit = taken * hours.HOUR_S, "s"
    for larger in ("min", "h"):
        if seconds >= 60:
            seconds, unit = seconds / 60, larger
    places = 0 if unit == "s" else 1
    return f"{jobs} job{'s' * (jobs != 1)}, {seconds:.{places}f} {unit}"


def _plain(note: str) -> str:
    """A note in Markdown as HTML: its emphasised words are the names of columns."""
    words = escape(note).split("*")
    return "".join(f"<i>{w}</i>" if n % 2 else w for n, w in enumerate(words))


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
