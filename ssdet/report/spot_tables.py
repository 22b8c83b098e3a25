"""The stage `spot_table`: SPOT's results on a data set, beside the published numbers.

One row for each share of labels and way of training; several seeds are one row, their
mean and spread. Beside every result stand those of detectors that never look.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from ssdet.files import write_text
from ssdet.report import table_text
from ssdet.report.paper_tables import GENERATED
from ssdet.report.published import SegmentRow, SegmentTable
from ssdet.report.seeds import Result, by_name

REVISION = 1
BLIND = {
    "most_frequent": "blind, most frequent class",
    "annotated": "blind, class given",
    "external": "blind, class by another program",
}
NOTE = """\
mAP of segments in percent, the average over tIoU {first:g} to {last:g} where no tIoU is
named. *Ours*: mean over the seeds; *±*: their standard deviation. *Blind*: one
segment for each video, from its start to its end, for which nobody looked at when
something happens, called by the class that most training videos show, or by the first
annotated class of the video.
"""
PUBLISHED = """\
*Published*: {protocol}. *Difference*: ours less the published number.
"""

log = logging.getLogger(__name__)

Line = dict[str, str | int | float | None]


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.report.spot_tables")
    parser.add_argument("--dataset-name", required=True)
    parser.add_argument("--table", required=True, help="its section, JSON")
    parser.add_argument(
        "--results", type=Path, nargs="+", required=True, help="JSON files"
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
    table = SegmentTable.model_validate_json(args.table)
    found = by_name(args.results, args.dataset_name, read_result)
    lines = [line(name, row, table, found) for name, row in table.rows.items()]
    write_text(args.out_csv, table_text.as_csv(lines, list(lines[0])))
    write_text(args.out_md, as_markdown(table, lines, args.generated))
    log.info(
        "%d results of %s in %s", len(args.results), args.dataset_name, args.out_md
    )


def read_result(path: Path) -> dict[str, Any]:
    """Read a result of the stage `evaluate_segments`.

    Raises:
        ValueError: the file is absent or is no such result.
    """
    if not path.is_file():
        raise ValueError(f"no result at {path}; run evaluate_segments first")
    try:
        result = dict(json.loads(path.read_text(encoding="utf-8")))
        for key in ("dataset", "name", "seed", "videos", "external_scores"):
            result[key]
        for key in ("segment_map", "content_free"):
            result["metrics"][key]
    except (ValueError, KeyError, TypeError) as error:
        what = f"no key {error}" if isinstance(error, KeyError) else error
        raise ValueError(
            f"{path} is not a result of evaluate_segments ({what}); make it again"
        ) from None
    return result


def line(
    name: str,
    row: SegmentRow,
    table: SegmentTable,
    found: Mapping[str, Sequence[Result]],
) -> Line:
    """One row, with everything that the csv holds; percentages are not rounded."""
    results = found.get(row.result or "", ())
    measured = [result["metrics"]["segment_map"][table.measure] for result in results]
    ours = [100 * scores["average_map"] for scores in measured]
    mean = fmean(ours) if ours else None
    published = row.published[-1]
    values: Line = {
        "row": name,
        "label": row.label,
        "labels_percent": row.labels,
        "status": _status(row, results),
        "published_percent": published,
        "ours_percent": mean,
        "spread_percent": stdev(ours) if len(ours) > 1 else None,
        "difference": None if mean is None or published is None else mean - published,
        "seeds": " ".join(str(result["seed"]) for result in results),
    }
    for number, tiou in enumerate(table.tiou):
        values[f"published_{tiou:g}_percent"] = row.published[number]
        values[f"ours_{tiou:g}_percent"] = _mean(
            [100 * scores["map"][_place(scores, tiou)] for scores in measured]
        )
    for kind in BLIND:
        values[f"blind_{kind}_percent"] = _mean(
            [
                100 * result["metrics"]["content_free"][kind][table.measure]
                for result in results
                if kind in result["metrics"]["content_free"]
            ]
        )
    last = results[-1] if results else {}
    values |= {
        "videos_evaluated": last["videos"]["evaluated"] if last else None,
        "videos_expected": last["videos"]["expected"] if last else None,
        "external_scores": last["external_scores"] if last else None,
        "result": row.result,
        "source": row.source,
    }
    return values


def as_markdown(table: SegmentTable, lines: Sequence[Line], generated: bool) -> str:
    """The table to read, and what its columns mean; columns without a number go."""
    columns = {
        "label": table.title,
        "labels_percent": "labels, %",
        "published_percent": "published",
        "ours_percent": "ours",
        "spread_percent": "±",
        "difference": "difference",
        "seeds": "seeds",
    }
    for tiou in table.tiou:
        columns[f"published_{tiou:g}_percent"] = f"published, {tiou:g}"
        columns[f"ours_{tiou:g}_percent"] = f"ours, {tiou:g}"
    columns |= {f"blind_{kind}_percent": text for kind, text in BLIND.items()}
    columns["status"] = "status"
    shown = {c: t for c, t in columns.items() if _any(lines, c)}
    numbers = [name for name in shown if name not in ("label", "seeds", "status")]
    text = table_text.as_markdown(lines, shown, numbers)
    first, last = (0.5, 0.95) if table.measure == "activitynet" else (0.3, 0.7)
    text += NOTE.format(first=first, last=last)
    if "published_percent" in shown:
        text += PUBLISHED.format(protocol=table.protocol)
    return text + (GENERATED if generated else "")


def _status(row: SegmentRow, results: Collection[object]) -> str:
    if row.result is None:
        return "published only"
    return "built" if results else "not built yet"


def _place(scores: Mapping[str, Any], tiou: float) -> int:
    """Where a tIoU stands among those of a result."""
    return [round(t, 2) for t in scores["tiou"]].index(round(tiou, 2))


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _any(lines: Sequence[Line], column: str) -> bool:
    return any(values[column] not in (None, "") for values in lines)


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
