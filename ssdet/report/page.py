"""Pages of the report: one HTML file each, with everything that it needs inside.

A page asks for nothing over a network, and says so to the browser, which would refuse.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
    " img-src data:"
)
TEMPLATE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<h1>{title}</h1>
{body}
{scripts}</body>
</html>
"""


def page(
    title: str, body: str, styles: Sequence[str] = (), scripts: Sequence[str] = ()
) -> str:
    """One HTML page, readable on light and on dark.

    Args:
        title: plain text.
        body: HTML; names within it are escaped by whoever made it.
        styles: names of style sheets in `pages/` that it needs besides `page.css`.
        scripts: names of scripts there, run when the body is read.
    """
    return TEMPLATE.format(
        policy=escape(POLICY),
        title=escape(title),
        style="".join(asset(name) for name in ("page.css", *styles)),
        body=body,
        scripts="".join(f"<script>\n{asset(name)}</script>\n" for name in scripts),
    )


def asset(name: str) -> str:
    """The text of a file in `pages/`."""
    return (files("ssdet.report") / "pages" / name).read_text(encoding="utf-8")


def data_element(value: Any) -> str:
    """Data for a script of the page, as its element `data`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c")  # no name can end the element
    return f'<script type="application/json" id="data">{text}</script>'


def html_table(
    rows: Sequence[Mapping[str, object]],
    columns: Mapping[str, str],
    numbers: Collection[str],
    best: Collection[str] = (),
) -> str:
    """The rows as an HTML table.

    Args:
        rows: values by column; None is shown as -, fractions with two places.
        columns: what to call each column, in their order.
        numbers: columns to align to the right.
        best: columns whose highest value is emphasised.
    """
    highest = {
        name: max((row[name] for row in rows if row[name] is not None), default=None)  # type: ignore[type-var]
        for name in best
    }

    def cell(tag: str, name: str, text: str, emphasised: bool = False) -> str:
        kinds = ["number"] * (name in numbers) + ["best"] * emphasised
        kind = f' class="{" ".join(kinds)}"' if kinds else ""
        return f"<{tag}{kind}>{text}</{tag}>"

    lines = ["".join(cell("th", name, escape(text)) for name, text in columns.items())]
    for row in rows:
        lines.append(
            "".join(
                cell(
                    "td",
                    name,
                    escape(_shown(row[name])),
                    name in highest and row[name] == highest[name] is not None,
                )
                for name in columns
            )
        )
    inside = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table>\n{inside}\n</table></div>'


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
