"""What was found, for a terminal and for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ssdet.commands.lineage.walk import CHANGED, MISSING, OK, UNRECORDED, Edge, Node
from ssdet.commands.lineage.walk import every as every_node

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

BAD = (CHANGED, MISSING)
COLOURS = {OK: "green", CHANGED: "bold red", MISSING: "bold red"}
OTHERS = "yellow"
HASH = 12  # characters of a hash that are shown
WIDE = 1000  # characters: paths in files and pipes are not broken


def bad(root: Node) -> list[tuple[Node, Edge]]:
    """Parents that are not what a child was computed from, each with that child."""
    return [
        (node, edge)
        for node in every_node(root)
        for edge in node.parents
        if edge.state in BAD
    ]


def fails(root: Node) -> bool:
    """Whether a file cannot be relied upon: something changed, is missing or stale."""
    stale = any(node.stale for node in every_node(root))
    return stale or root.state == CHANGED or bool(bad(root))


def print_tree(root: Node, compared: str) -> None:
    """Print the tree of a file, and what it all comes to.

    Raises:
        ValueError: rich is not installed.
    """
    try:
        from rich.console import Console
    except ImportError:
        raise ValueError(
            "the tree needs rich, which is not installed: pip install rich; --json does"
            " without it"
        ) from None
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    console.print(tree(root))
    for line in summary(root, compared):
        console.print(line, markup=False, highlight=False)


def tree(root: Node) -> Tree:
    """The tree of a file; a parent of several is shown in full once."""
    from rich.tree import Tree

    start = root.state if root.state == CHANGED else ""
    shown = Tree(_label(root, "", start, root.why, True), guide_style="dim")
    _grow(shown, root, {id(root)})
    return shown


# Files without parents first: below the others they are known then.
def _grow(shown: Tree, node: Node, seen: set[int]) -> None:
    known = [edge for edge in node.parents if _is_known_leaf(edge, seen)]
    if known:
        shown.add(_together(known))
    rest = [edge for edge in node.parents if edge not in known]
    for edge in sorted(rest, key=lambda edge: edge.node.record is not None):
        new = id(edge.node) not in seen
        seen.add(id(edge.node))
        label = _label(edge.node, edge.name, edge.state, edge.why, new, edge.recorded)
        branch = shown.add(label)
        if new:
            _grow(branch, edge.node, seen)


def _is_known_leaf(edge: Edge, seen: set[int]) -> bool:
    """Whether nothing is to be told of a parent: labels that were shown, and are ok."""
    return id(edge.node) in seen and edge.state == OK and edge.node.record is None


def _together(edges: list[Edge]) -> Text:
    from rich.text import Text

    text = Text(f"{OK} ", COLOURS[OK])
    text.append(", ".join(edge.name for edge in edges), "bold")
    return text.append(" see above", "dim")


def _label(
    node: Node, name: str, state: str, why: str, new: bool, recorded: str = ""
) -> Text:
    """A line: state, name, path, how it was made; below it what is stale."""
    from rich.text import Text

    text = Text()
    if state:
        text.append(f"{state} ", COLOURS.get(state, OTHERS))
    if name:
        text.append(f"{name} " if node.path else name, "bold")
    text.append(node.path)
    if why:
        text.append(f" ({why})", COLOURS.get(state, OTHERS))
    if not new and node.record is not None:
        text.append(" see above", "dim")
        return text
    text.append("".join(f", {fact}" for fact in _facts(node, state, recorded)), "dim")
    for line in node.stale:
        text.append(f"\nstale: {line}", OTHERS)
    return text


def _facts(node: Node, state: str, recorded: str) -> Iterator[str]:
    if node.files > 1:
        yield f"{node.files} files"
    if node.record is not None:
        block = node.record.block
        yield f"{node.record.stage} revision {block['revision']}"
        if "commit" in block:
            head, dirty, _ = str(block["commit"]).partition("+dirty")
            yield f"commit {head[:HASH]}{dirty}"
    elif node.rows:
        yield "its making is not recorded"
    if node.sha256:
        yield f"sha256 {node.sha256[:HASH]}"
    if state == UNRECORDED:
        yield f"known by {recorded[:HASH]}"


def summary(root: Node, compared: str) -> list[str]:
    """What it all comes to, in a few lines.

    Args:
        root: the file.
        compared: what of the configuration was looked at.
    """
    nodes = list(every_node(root))
    wrong: dict[int, Edge] = {id(edge.node): edge for _, edge in bad(root)}
    lines = [f"{e.state}: {e.node.path}{_because(e)}" for e in wrong.values()]
    if root.state == CHANGED:
        lines.insert(0, f"{CHANGED}: {root.path} ({root.why})")
    stale = [node.path for node in nodes if node.stale]
    lines += [f"stale: {path}" for path in stale]
    unknown = sum(e.state == UNRECORDED for node in nodes for e in node.parents)
    if unknown:
        lines.append(
            f"{unknown} parents could not be looked at: an earlier version of ssdet did"
            " not record where they lie, or the record beside a checkpoint is lost"
        )
    if any(edge.state == MISSING for edge in wrong.values()):
        lines.append(
            "Paths are as the stages got them: start in the folder in which Snakemake"
            " was started."
        )
    good = "Everything recorded is as it was."
    return [*(lines or [good]), compared]


def _because(edge: Edge) -> str:
    return f" ({edge.why})" if edge.why else ""


def as_json(root: Node, compared: str) -> dict[str, Any]:
    """All that was found: plain JSON types; parents are named by their path."""
    return {
        "file": root.path,
        "good": not fails(root),
        "configuration": compared,
        "nodes": [_node(node) for node in every_node(root) if node.path],
    }


def _node(node: Node) -> dict[str, Any]:
    block = node.record.block if node.record else {}
    return {
        "path": node.path,
        "files": node.files,
        "sha256": node.sha256 or None,
        "state": node.state,
        "why": node.why,
        "stage": block.get("stage"),
        "revision": block.get("revision"),
        "commit": block.get("commit"),
        "stale": list(node.stale),
        "parents": _edges(node.parents),
    }


def _edges(edges: Sequence[Edge]) -> list[dict[str, Any]]:
    return [
        {
            "name": edge.name,
            "path": edge.node.path or None,
            "recorded": edge.recorded or None,
            "state": edge.state,
            "why": edge.why,
        }
        for edge in edges
    ]
