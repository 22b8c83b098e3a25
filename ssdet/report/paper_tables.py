"""The stage `paper_tables`: a published table, with our results beside its numbers.

A row whose result is not there says so. Numbers of ours are never compared under
another protocol than the table names; where the published one is not known, all that it
may be stand side by side. A result of several seeds is their mean, beside its spread.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ssdet.files import write_text
from ssdet.report import table_text
from ssdet.report.published import Row, Table
from ssdet.report.seeds import Result, by_name, percent, spread

REVISION = 2
SHOWN_HASH = 12  # characters, in Markdown
METRICS = {
    "dense_map": "dense mAP",
    "map_25": "mAP-25",
    "map_25_weighted": "wAP-25",
}
PROTOCOLS = (
    "every frame, plain mean over classes (dense mAP); 25 instants of each video, plain"
    " mean (mAP-25) and weighted by positives (wAP-25)"
)
NOTE = """\
Numbers in percent. *Published*: {protocol}. *Ours*: {ours}. *Difference*: ours less the
published number, where the protocol may be the same. *Gain*: over the row {baseline}.
"""
SEEDS = """\
Ours of several *seeds* are their mean; *±*: their standard deviation.
"""
GENERATED = """\
**Ours are of generated videos**, a check that everything runs: they say nothing of the
data set that the table is about, so no published number stands beside them.
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
    if args.generated:
        table = table.of_generated_videos()
    found = by_name(args.results, table.dataset)
    lines = rows(args.table_name, table, found, args.known)
    if not lines:
        raise ValueError(f"no row of {args.table_name} names a result of ours")
    write_text(args.out_csv, table_text.as_csv(lines, list(lines[0])))
    write_text(args.out_md, as_markdown(table, lines, args.generated))
    log.info("%s: %d of %d rows have results", args.table_name, len(found), len(lines))


def rows(
    name: str,
    table: Table,
    found: Mapping[str, Sequence[Result]],
    known: Collection[str],
) -> list[dict[str, str | int | float | None]]:
    """The rows, with everything that the csv holds; percentages are not rounded."""
    base = None if table.baseline is None else table.rows[table.baseline]
    start = None if base is None else base.published
    start_ours = found.get(base.result or "", []) if base else []
    starts = {m: percent(start_ours, m) for m in table.metrics}
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
        results = found.get(row.result or "", [])
        line["seeds"] = " ".join(str(result["seed"]) for result in results)
        for metric in METRICS:
            line[f"{metric}_percent"] = value = percent(results, metric)
            line[f"{metric}_spread"] = spread(results, metric)
            if metric in table.metrics:
                line[f"{metric}_difference"] = _less(value, row.published)
                line[f"{metric}_gain"] = _less(value, starts[metric])
        videos = results[0]["videos"] if results else {}
        members = [member for result in results for member in result["members"]]
        line["videos_evaluated"] = videos.get("evaluated")
        line["videos_expected"] = videos.get("expected")
        line["members"] = " + ".join(member["model"] for member in members)
        line["members_sha256"] = " + ".join(m["checkpoint_sha256"] for m in members)
        lines.append(line)
    return lines


def status(row: Row, found: Collection[str], known: Collection[str]) -> str:
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
    several = any(" " in str(line["seeds"]) for line in lines)
    for metric, name in METRICS.items():
        columns[f"{metric}_percent"] = f"ours, {name}"
        if several:
            columns[f"{metric}_spread"] = "±"
        if metric in table.metrics and not generated:
            columns[f"{metric}_difference"] = "difference"
    if table.baseline is not None and not generated:
        columns["published_gain"] = "gain, published"
    if table.baseline is not None:
        for metric in table.metrics:
            columns[f"{metric}_gain"] = f"gain, {METRICS[metric]}"
    if several:
        columns["seeds"] = "seeds"
    columns["status"] = "status"
    numbers = [
        name for name in columns if name not in ("label", "input", "seeds", "status")
    ]
    text = table_text.as_markdown(lines, columns, numbers)
    baseline = "-" if table.baseline is None else table.rows[table.baseline].label
    protocol = "none" if generated else table.protocol
    text += NOTE.format(protocol=protocol, ours=PROTOCOLS, baseline=baseline)
    text += SEEDS if several else ""
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
