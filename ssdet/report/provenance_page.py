"""Where every result came from: its parents, theirs, and what each was made with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ssdet.report.hours import seconds_of
from ssdet.report.lineage import Made
from ssdet.report.page import page

SHOWN = 3  # files of one folder in a list; of more, the first and their number
HASH = 12  # characters of a hash or commit that are shown
HASHES = {
    "sha256": "sha256",
    "made": "hash of how it was made",
    "listing": "hash of names and sizes",
}
INTRODUCTION = """\
<p>Every file of the workflow carries the record of its making. Below are the results,
and under each what it was made from, down to labels and inventories; every line leads
to the record. The hashes are those that were noted when a file was read:
<code>ssdet provenance FILE</code> says whether the files are still the same.</p>
"""


def provenance_page(
    dataset: str, results: Mapping[str, str], made: Mapping[str, Made]
) -> str:
    """The page.

    Args:
        dataset: its name.
        results: path of each result, by name.
        made: the results and all that they were made from, by path.
    """
    numbers = {path: number for number, path in enumerate(made)}
    parts = [INTRODUCTION, "<h2>Results</h2>"]
    for name, path in results.items():
        parts.append(
            f"<details><summary>{escape(name)}</summary>\n"
            f"<ul>{_tree(path, made, numbers, set())}</ul></details>"
        )
    parts.append("<h2>Records</h2>")
    parts += [_card(made[path], numbers) for path in made]
    return page(
        f"{dataset}: where every result came from", "\n".join(parts), ["provenance.css"]
    )


def _tree(
    path: str, made: Mapping[str, Made], numbers: Mapping[str, int], above: set[str]
) -> str:
    """A file and its parents, as items of lists; what stands above is not repeated."""
    line = _link(path, made, numbers)
    if path in above and made[path].parents:
        return f"<li>{line} <span class='note'>as above</span></li>"
    above.add(path)
    items = []
    for folder in _folders(list(made[path].parents.values())):
        kept = folder if len(folder) <= SHOWN else folder[:1]
        items += [_tree(parent, made, numbers, above) for parent in kept]
        if len(kept) < len(folder):
            items.append(f"<li class='note'>and {len(folder) - 1} more beside it</li>")
    inner = f"<ul>{''.join(items)}</ul>" if items else ""
    return f"<li>{line}{inner}</li>"


def _folders(paths: Sequence[str]) -> list[list[str]]:
    """The paths, those of one folder and kind together."""
    groups: dict[tuple[Path, str], list[str]] = {}
    for path in dict.fromkeys(paths):
        groups.setdefault((Path(path).parent, Path(path).suffix), []).append(path)
    return list(groups.values())


def _link(path: str, made: Mapping[str, Made], numbers: Mapping[str, int]) -> str:
    rule = made[path].rule
    said = f"<b>{escape(rule)}</b> " if rule else ""
    gone = "" if made[path].there else ' <span class="gone">no longer there</span>'
    return f'{said}<a href="#f{numbers[path]}"><code>{escape(path)}</code></a>{gone}'


def _card(file: Made, numbers: Mapping[str, int]) -> str:
    facts = {
        HASHES[kind]: f"<code>{escape(digest)}</code>"
        for kind, digest in file.hashes.items()
    }
    if file.files:
        facts["files"] = escape(_some(file.files))
    if not file.there:
        facts["now"] = '<span class="gone">no longer there</span>'
    more = ""
    if file.block is None:
        facts["record"] = "none: not made by a stage that writes one"
    else:
        facts |= _facts(file.block)
        facts["made from"] = "<br>".join(
            f'{escape(name)}: <a href="#f{numbers[path]}">'
            f"<code>{escape(path)}</code></a>"
            for name, path in file.parents.items()
        )
        text = json.dumps(file.block["config"], indent=1, ensure_ascii=False)
        more = (
            "<details><summary>configuration</summary>"
            f"<pre>{escape(text)}</pre></details>"
        )
    rows = "".join(f"<tr><th>{k}</th><td>{v}</td></tr>" for k, v in facts.items())
    title = f"<code>{escape(file.path)}</code>"
    return (
        f'<section id="f{numbers[file.path]}"><h3>{title}</h3>'
        f"<table>{rows}</table>{more}</section>"
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _facts(block: Mapping[str, Any]) -> dict[str, str]:
    versions = [f"{k} {v}" for k, v in block["versions"].items() if v is not None]
    times = f"{block['started']} to {block['ended']}, {seconds_of(block):.0f} s"
    commit, _, dirty = block["commit"].partition("+")
    return {
        "stage": f"{escape(block['stage'])}, revision {block['revision']}",
        "made": escape(times),
        "on": escape(f"{block['device']}; GPU-hours: {block['gpu_hours']}"),
        "code": escape(f"commit {commit[:HASH]}{' with changes' if dirty else ''}"),
        "versions": escape(", ".join(versions)),
        "configuration": f"sha256 <code>{block['config_sha256'][:HASH]}</code>…",
    }
