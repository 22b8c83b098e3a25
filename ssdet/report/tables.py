"""The stage `tables`: one row for each result, as csv and as Markdown.

Every number stands under the name of its protocol, in percent; numbers of different
protocols must not be compared with each other.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssdet.files import write_text
from ssdet.report import table_text
from ssdet.report.table_text import Rows
from ssdet.sealed_json import opened
from ssdet.texts import parse_json

REVISION = 1
# What a file that is no result may raise.
UNFIT = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
COLUMNS = {
    "dataset": "data set",
    "name": "result",
    "members": "members",
    "dense_map_percent": "dense mAP",
    "map_25_percent": "mAP-25",
    "map_25_weighted_percent": "wAP-25",
    "chance_percent": "chance (dense)",
    "times_chance": "dense / chance",
    "videos_evaluated": "videos",
    "videos_expected": "expected",
}
NUMBERS = tuple(COLUMNS)[3:]
NOTE = """\
Numbers in percent. *dense mAP*: every frame, plain mean over classes. *mAP-25* and
*wAP-25*: the 25 official instants of each video, plain mean and mean weighted by each
class's positives. *chance*: dense mAP expected of random scores. The protocols differ:
compare numbers only within a column.
"""

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.report.tables")
    parser.add_argument(
        "--results", type=Path, nargs="+", required=True, help="JSON files"
    )
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, write both tables."""
    args = arguments().parse_args(argv)
    rows = [row(read_result(path)) for path in args.results]
    write_text(args.out_csv, as_csv(rows))
    write_text(args.out_md, as_markdown(rows))
    log.info("%d results in %s and %s", len(rows), args.out_csv, args.out_md)


def read_result(path: Path) -> dict[str, Any]:
    """Read a result of the stage `ensemble`.

    Raises:
        ValueError: the file is absent or is not a result.
    """
    if not path.is_file():
        raise ValueError(f"no result at {path}; run ensemble first")
    try:
        result = opened(parse_json(path.read_bytes(), path))
        row(result)
    except UNFIT as error:
        what = f"no key {error}" if isinstance(error, KeyError) else error
        raise ValueError(
            f"{path} is not a result of ensemble ({what}); run ensemble again"
        ) from None
    return dict(result)


def row(result: Mapping[str, Any]) -> dict[str, str | int | float | None]:
    """The table's row of a result; percentages are not rounded, None: no value."""
    metrics, videos = result["metrics"], result["videos"]
    chance = metrics["chance"]["dense_map"]
    return {
        "dataset": result["dataset"],
        "name": result["name"],
        "members": " + ".join(member["model"] for member in result["members"]),
        "dense_map_percent": _percent(metrics["dense_map"]),
        "map_25_percent": _percent(metrics["map_25"]),
        "map_25_weighted_percent": _percent(metrics["map_25_weighted"]),
        "chance_percent": _percent(chance),
        "times_chance": metrics["dense_map"] / chance,
        "videos_evaluated": videos["evaluated"],
        "videos_expected": videos["expected"],
    }


def as_csv(rows: Rows) -> str:
    """The rows as csv, in full precision."""
    return table_text.as_csv(rows, COLUMNS)


def as_markdown(rows: Rows) -> str:
    """The rows as a Markdown table, and what its columns mean."""
    return table_text.as_markdown(rows, COLUMNS, NUMBERS) + NOTE


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
