"""Rows as csv, and as a Markdown table that is also readable as it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence

FORMULA = ("=", "+", "-", "@")  # how formulas of spreadsheets begin
Rows = Sequence[Mapping[str, object]]


def as_csv(rows: Rows, columns: Collection[str]) -> str:
    """The rows as csv, in full precision.

    Args:
        rows: values by column; None is left empty.
        columns: in their order.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _inert(row[key]) for key in row} for row in rows)
    return text.getvalue()


def _inert(value: object) -> object:
    """A text that a spreadsheet would take for a formula, with a ' before it."""
    formula = isinstance(value, str) and value.startswith(FORMULA)
    return f"'{value}" if formula else value


def as_markdown(
    rows: Rows, columns: Mapping[str, str], numbers: Collection[str]
) -> str:
    """The rows as a Markdown table, padded, and an empty line.

    Args:
        rows: values by column; None is shown as -, other fractions with two places.
        columns: what to call each column, in their order.
        numbers: columns to align to the right.
    """
    cells = [list(columns.values())]
    cells += [[_shown(values[name]) for name in columns] for values in rows]
    widths = [max(len(line[c]) for line in cells) for c in range(len(columns))]
    right = [name in numbers for name in columns]
    lines = [_line(line, widths, right) for line in cells]
    rule = [
        "-" * (width - 1) + (":" if number else "-")
        for width, number in zip(widths, right, strict=True)
    ]
    lines.insert(1, _line(rule, widths, right))
    return "\n".join(lines) + "\n\n"


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if number else cell.ljust(width)
        for cell, width, number in zip(cells, widths, right, strict=True)
    ]
    return "| " + " | ".join(padded) + " |"


def _shown(value: object) -> str:
    if value is None:
        return "-"
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|")
