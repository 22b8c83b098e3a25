"""The stage `paper_tables`: a published table, with our results beside its numbers.

A row whose result is not there says so. Numbers of ours are never compared under
another protocol than the table names; where the published one is not known, all that it
may be stand side by side.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ssdet.files import write_text
from ssdet.report import table_text
from ssdet.report.published import Row, Table
from ssdet.report.tables import read_result

REVISION = 1
SHOWN_HASH = 12  # characters, in Markdown
METRICS = {
    "dense_map": "dense mAP",
    "map_25": "mAP-25",
    "map_25_weighted": "wAP-25",
}
NOTE = """\
Numbers in percent. *Published*: {protocol}. *Ours*: {ours}. *Difference*: ours less the
published number. *Gain*: over the row {baseline}, published and ours.
"""
GENERATED = """\
**Ours are of generated videos**, a check that everything runs: they say nothing of the
published data sets, and the differences mean nothing.
"""

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.report.paper_tables")
    parser.add_argument("--table-name", required=True)
    parser.add_argument("--table", required=True, help="its section, JSON")
    parser.add_argument(
        "--results", type=Path, nargs="*", default=[], help="JSON files there are"
    )
    parser.add_argument(
        "--known", nargs="*", default=[], help="results that can be asked for"
    )
    parser.add_argument(
        "--generated", action="store_true", help="the videos were generated"
    )
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, write both tables."""
    args = arguments().parse_args(argv)
    table = Table.model_validate_json(args.table)
    found = results_of(table, args.results)
    lines = rows(args.table_name, table, found, args.known)
    write_text(args.out_csv, table_text.as_csv(lines, list(lines[0])))
    write_text(args.out_md, as_markdown(table, lines, args.generated))
    log.info("%s: %d of %d rows have results", args.table_name, len(found), len(lines))


def results_of(table: Table, paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """The results by name.

    Raises:
        ValueError: a file is no result, or of another data set.
    """
    found = {}
    for path in paths:
        result = read_result(path)
        if result["dataset"] != table.dataset:
            raise ValueError(
                f"{path} is of {result['dataset']}, the table of {table.dataset}"
            )
        found[result["name"]] = result
    return found


def rows(
    name: str,
    table: Table,
    found: Mapping[str, Mapping[str, Any]],
    known: Collection[str],
) -> list[dict[str, str | int | float | None]]:
    """The rows, with everything that the csv holds; percentages are not rounded."""
    base = None if table.baseline is None else table.rows[table.baseline]
    start = None if base is None else base.published
    starts = {m: ours(base, m, found) for m in table.metrics}
    lines: list[dict[str, str | int | float | None]] = []
    for key, row in table.rows.items():
        line: dict[str, str | int | float | None] = {
            "table": name,
            "row": key,
            "label": row.label,
            "input": row.input,
            "status": status(row, found, known),
            "published_percent": row.published,
            # What we do not reproduce has other inputs or protocols, too.
            "published_gain": _less(row.published, start) if row.result else None,
            "published_protocol": row.protocol or table.protocol,
            "source": row.source,
            "dataset": table.dataset,
            "result": row.result,
        }
        for metric in METRICS:
            line[f"{metric}_percent"] = value = ours(row, metric, found)
            if metric in table.metrics:
                line[f"{metric}_difference"] = _less(value, row.published)
                line[f"{metric}_gain"] = _less(value, starts[metric])
        result = found.get(row.result or "", {})
        videos, members = result.get("videos", {}), result.get("members", [])
        line["videos_evaluated"] = videos.get("evaluated")
        line["videos_expected"] = videos.get("expected")
        line["members"] = " + ".join(member["model"] for member in members)
        line["members_sha256"] = " + ".join(m["checkpoint_sha256"] for m in members)
        lines.append(line)
    return lines


def ours(
    row: Row | None, metric: str, found: Mapping[str, Mapping[str, Any]]
) -> float | None:
    """Our number of a row, in percent, if there is one."""
    if row is None or row.result is None or row.result not in found:
        return None
    value = found[row.result]["metrics"][metric]
    return None if value is None else 100 * value


def status(
    row: Row, found: Mapping[str, Mapping[str, Any]], known: Collection[str]
) -> str:
    """What there is of a row."""
    if row.result is None:
        return "published only"
    if row.result in found:
        return "built"
    return "not built yet" if row.result in known else "not in the configuration"


def as_markdown(
    table: Table,
    lines: Sequence[Mapping[str, str | int | float | None]],
    generated: bool,
) -> str:
    """The table to read, with what its columns mean and what was trained."""
    columns = {"label": table.title, "input": "input", "published_percent": "published"}
    for metric in table.metrics:
        columns[f"{metric}_percent"] = f"ours, {METRICS[metric]}"
        columns[f"{metric}_difference"] = "difference"
    if table.baseline is not None:
        columns["published_gain"] = "gain, published"
        for metric in table.metrics:
            columns[f"{metric}_gain"] = f"gain, {METRICS[metric]}"
    columns["status"] = "status"
    numbers = [name for name in columns if name not in ("label", "input", "status")]
    text = table_text.as_markdown(lines, columns, numbers)
    baseline = "-" if table.baseline is None else table.rows[table.baseline].label
    text += NOTE.format(
        protocol=table.protocol,
        ours=", ".join(METRICS[metric] for metric in table.metrics),
        baseline=baseline,
    )
    text += GENERATED if generated else ""
    built = [line for line in lines if line["status"] == "built"]
    if built:
        text += "\nCheckpoints (sha256) behind our numbers:\n\n"
    for line in built:
        names = str(line["members"]).split(" + ")
        hashes = str(line["members_sha256"]).split(" + ")
        members = (
            f"{member} `{digest[:SHOWN_HASH]}`"
            for member, digest in zip(names, hashes, strict=True)
        )
        text += f"- {line['label']}: {', '.join(members)}\n"
    return text


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
