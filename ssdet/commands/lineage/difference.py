"""Why two files differ: both trees are gone through together, from the videos on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ssdet.commands.lineage.changes import key_changes
from ssdet.commands.lineage.records import MADE, Record
from ssdet.commands.lineage.videos import video_changes
from ssdet.commands.lineage.walk import OK, Edge, Node

# Parts of a config that follow from a parent, or that are told in another way.
FOLLOWS = {*MADE, "fine_sha256", "models"}
# Metrics that are lists, or no numbers of the model.
ASIDE = {"per_class", "chance", "content_free"}
MAY = ("commit", "versions", "device")  # may change numbers, and need not
SHOWN = 5  # videos in a message

Seen = dict[tuple[int, int], bool]  # pairs of nodes, by id: whether they differ


@dataclass
class Differences:
    """What differs between two files; all is listed from the videos on.

    Attributes:
        files: the two.
        numbers: metrics that differ.
        causes: what differs, with the stages where.
        possible: what may change numbers and need not, with the stages where.
        unexplained: checkpoints that differ although nothing recorded does.
        dirty: whether a stage ran with changes to the program that no commit holds.
    """

    files: tuple[str, str]
    numbers: list[str] = field(default_factory=list)
    causes: dict[str, list[str]] = field(default_factory=dict)
    possible: dict[str, list[str]] = field(default_factory=dict)
    unexplained: list[str] = field(default_factory=list)
    dirty: bool = False

    @property
    def differ(self) -> bool:
        """Whether anything does."""
        return bool(self.numbers or self.causes or self.possible or self.unexplained)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "files": list(self.files),
            "numbers": self.numbers,
            "causes": _entries(self.causes),
            "possible": _entries(self.possible),
            "unexplained": self.unexplained,
            "dirty": self.dirty,
        }


def compare(first: Node, second: Node) -> Differences:
    """Find why two files differ, first cause first.

    A parent that both read with the same hash is not looked into. Of a parent that is
    no longer what the child read, only that it differs is known.
    """
    found = Differences((first.path, second.path))
    a, b = _record(first), _record(second)
    metrics = [_numbers(record.content.get("metrics", {})) for record in (a, b)]
    found.numbers += key_changes("", *metrics)
    _compare(found, first, second, {})
    return found


def lines(found: Differences) -> list[str]:
    """The differences as one reads them."""
    text = [f"A: {found.files[0]}", f"B: {found.files[1]}", ""]
    text += ["Numbers, A -> B:", *_indented(found.numbers), ""] * bool(found.numbers)
    if not found.differ:
        return [*text, "Nothing differs."]
    if found.causes:
        text += ["Why, first cause first, A -> B:", *_listed(found.causes)]
    if found.possible:
        text += ["May change numbers too, A -> B:", *_listed(found.possible)]
    if found.unexplained:
        text += ["Other weights although nothing recorded differs:"]
        text += _indented(found.unexplained)
    if not (found.causes or found.possible):
        text += [
            "Nothing in provenance explains it: the same configuration, revisions,"
            " commit, seed, videos, versions and device. GPUs do not add in a fixed"
            " order; or a file was edited: ssdet provenance FILE tells."
        ]
    elif not found.causes:
        text += ["None of it need change a number: no configuration or input differs."]
    if found.dirty and not found.causes:
        text += [
            "A stage ran with changes to the program that no commit holds (+dirty)."
        ]
    return text


def _compare(found: Differences, a: Node, b: Node, seen: Seen) -> bool:
    """Compare two nodes, what they come from first; returns whether they differ."""
    pair = (id(a), id(b))
    if pair in seen or a is b:
        return seen.get(pair, False)
    seen[pair] = True
    one, two = _record(a), _record(b)
    where = one.stage if one.stage == two.stage else f"{one.stage}/{two.stage}"
    differ = [
        _compare_edges(found, first, second, where, seen)
        for first, second in sorted(_pairs(a.parents, b.parents), key=_is_last)
    ]
    causes = [*_only(a.parents, b.parents), *_own(one, two)]
    possible = [
        line
        for key in MAY
        for line in key_changes(key, one.block.get(key), two.block.get(key))
    ]
    _add(found.causes, causes, where)
    _add(found.possible, possible, where)
    found.dirty |= str(one.block.get("commit")).endswith("+dirty")
    seen[pair] = any(differ) or bool(causes or possible)
    return seen[pair]


def _compare_edges(
    found: Differences, a: Edge, b: Edge, where: str, seen: Seen
) -> bool:
    """Compare two parents; returns whether they differ."""
    if a.recorded == b.recorded:
        return False
    gone = [
        f"{side}'s is {edge.state}"
        for side, edge in {"A": a, "B": b}.items()
        if edge.state != OK
    ]
    if gone:
        line = f"{a.name}: another; how it was made is not known ({', '.join(gone)})"
        _add(found.causes, [line], where)
        return True
    if not (a.node.record and b.node.record) or a.node.rows:
        if a.node.record and b.node.record:
            _compare(found, a.node, b.node, seen)
        _add(found.causes, _of_leaves(a, b), where)
        return True
    if _compare(found, a.node, b.node, seen):
        return True
    if a.node.path.endswith(".pt"):
        found.unexplained.append(f"{a.node.path} and {b.node.path}")
    return False


def _of_leaves(a: Edge, b: Edge) -> Iterator[str]:
    """How two files differ that say nothing of their making, or are inventories."""
    if not (a.node.rows and b.node.rows):
        yield f"{a.name}: other content in {a.node.path} and {b.node.path}"
        return
    changes = video_changes(a.node.rows, b.node.rows)
    for kind, videos in changes.items():
        if videos:
            shown = ", ".join(videos[:SHOWN]) + ", ..." * (len(videos) > SHOWN)
            yield f"inventory: {len(videos)} videos {kind} in B ({shown})"
    if not any(changes.values()):
        yield "inventory: the same videos, otherwise written (paths or sizes)"


def _own(a: Record, b: Record) -> Iterator[str]:
    """What differs in what two stages were told, but for their parents."""
    if a.stage != b.stage:
        yield f"stage: {a.stage} -> {b.stage}"
        shared = {
            key
            for key in a.config.keys() & b.config.keys() - FOLLOWS
            if type(a.config[key]) is type(b.config[key])
        }
        both = [{k: r.config[k] for k in r.config if k in shared} for r in (a, b)]
    else:
        yield from key_changes("revision", a.block["revision"], b.block["revision"])
        both = [{k: v for k, v in r.config.items() if k not in FOLLOWS} for r in (a, b)]
    yield from key_changes("", *both)
    for key in ("seed", "members"):
        if key in a.content and key in b.content:
            yield from key_changes(key, _told(a, key), _told(b, key))


def _told(record: Record, key: str) -> Any:
    value = record.content[key]
    return [member["model"] for member in value] if key == "members" else value


def _pairs(a: list[Edge], b: list[Edge]) -> Iterator[tuple[Edge, Edge]]:
    """Parents of the same name; also the only two left of a kind, by another name."""
    names = {edge.name: edge for edge in b}
    for edge in a:
        if edge.name in names:
            yield edge, names[edge.name]
    left, right = _left(a, b), _left(b, a)
    for kind in left.keys() & right.keys():
        if len(left[kind]) == len(right[kind]) == 1:
            yield left[kind][0], right[kind][0]


def _is_last(pair: tuple[Edge, Edge]) -> bool:
    """Labels and inventories come after what goes back further."""
    return any(edge.node.record is None or bool(edge.node.rows) for edge in pair)


def _only(a: list[Edge], b: list[Edge]) -> Iterator[str]:
    """Parents that only one of two files has."""
    left, right = _left(a, b), _left(b, a)
    for side, mine, others in (("A", left, right), ("B", right, left)):
        for kind, edges in mine.items():
            if len(edges) == len(others.get(kind, ())) == 1:
                continue
            yield from (f"{edge.name}: only in {side}" for edge in edges)


def _left(a: list[Edge], b: list[Edge]) -> dict[str, list[Edge]]:
    """By kind, the parents in `a` whose name is not in `b`."""
    names = {edge.name for edge in b}
    left: dict[str, list[Edge]] = {}
    for edge in a:
        if edge.name not in names:
            left.setdefault(edge.name.split("/")[0], []).append(edge)
    return left


def _record(node: Node) -> Record:
    assert node.record is not None
    return node.record


def _numbers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metrics.items() if key not in ASIDE}


def _add(found: dict[str, list[str]], lines: Iterable[str], where: str) -> None:
    for line in lines:
        stages = found.setdefault(line, [])
        if where not in stages:
            stages.append(where)


def _entries(found: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    return [{"what": line, "stages": stages} for line, stages in found.items()]


def _indented(text: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in text]


def _listed(found: Mapping[str, list[str]]) -> list[str]:
    text = [f"{line}  ({', '.join(stages)})" for line, stages in found.items()]
    return [*_indented(text), ""]
