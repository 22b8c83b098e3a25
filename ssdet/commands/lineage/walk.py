"""From a file back to the videos: every parent, and whether it is still the same.

What is compared with what the child recorded:

- a file (checkpoint, predictions, inventory, labels, shard of features that `predict`
  read): sha256 of all its bytes;
- a folder of shards that a training read (frames, features): how its shards were made,
  by their attributes; neither their pixels nor their numbers are read;
- a folder of features that others made: names and sizes of its files;
- videos: whether they are there; sha256 only if it is asked for, as they are large.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssdet.commands.lineage.records import Record, read_record, subject
from ssdet.commands.lineage.videos import inventory_rows, other_videos
from ssdet.config import canonical_json
from ssdet.data.inventory import InventoryRow
from ssdet.files import sha256, sha256_text
from ssdet.provenance import listing

OK, CHANGED, MISSING = "ok", "changed", "missing"
UNRECORDED, UNCHECKED = "unrecorded", "unchecked"
ONES = (
    "files that do: results (.json), checkpoints (.pt, with the .json beside them),"
    " predictions, features and frames (.h5), inventories (.csv, with the .json beside"
    " them), detected segments (.json)"
)
LARGE = 1 << 30  # bytes; hashing a file above is announced
SHOWN = 5  # names in a message


@dataclass
class Node:
    """A file, or the shards of a folder.

    Attributes:
        path: of it; empty if it is not recorded.
        files: how many files these are.
        sha256: of a single file, if a child or its own record asks for it.
        made: of shards: a hash of how they were made.
        record: what it says of its making, if it says anything.
        rows: of an inventory.
        state: whether the record that lies beside it is of it.
        why: what is wrong, for the state changed.
        stale: what of the configuration or the program is another now.
        parents: what it was computed from.
    """

    path: str
    files: int = 1
    sha256: str = ""
    made: str = ""
    record: Record | None = None
    rows: tuple[InventoryRow, ...] = ()
    state: str = UNRECORDED
    why: str = ""
    stale: tuple[str, ...] = ()
    parents: list[Edge] = field(default_factory=list)


@dataclass(frozen=True)
class Edge:
    """A parent as its child knows it.

    Attributes:
        name: that the child gives it.
        node: the parent.
        recorded: the hash that the child recorded.
        state: ok, changed, missing, unrecorded or unchecked.
        why: what is wrong, or what was not looked at.
    """

    name: str
    node: Node
    recorded: str
    state: str
    why: str = ""


def walk(paths: Sequence[Path], videos: bool) -> list[Node]:
    """Look at files and at everything that they were computed from.

    Args:
        paths: of any stage's outputs.
        videos: also hash the videos.

    Raises:
        ValueError: a file says nothing of its making, or cannot be read.
    """
    steps = _Walk(videos)
    roots = []
    for path in map(subject, paths):
        if not path.is_file():
            raise ValueError(f"no file {path}")
        root = steps.node((path,))
        if root.record is None:
            raise ValueError(root.why or f"{path} does not say how it was made; {ONES}")
        steps.hash(path)
        roots.append(root)
    return roots


def every(root: Node) -> Iterator[Node]:
    """The nodes of a tree, each once, children before their parents."""
    seen: set[int] = set()

    def visit(node: Node) -> Iterator[Node]:
        if id(node) in seen:
            return
        seen.add(id(node))
        yield node
        for edge in node.parents:
            yield from visit(edge.node)

    return visit(root)


class _Walk:
    """Nodes that were visited, so that shared parents are looked at once."""

    def __init__(self, videos: bool) -> None:
        self.videos = videos
        self.nodes: dict[tuple[Path, ...], Node] = {}
        self.hashes: dict[Path, str] = {}

    def hash(self, path: Path) -> str:
        """The sha256 of a file; it is read once."""
        if path not in self.hashes:
            size = path.stat().st_size
            if size > LARGE:
                print(f"hashing {path}, {size / 1e9:.1f} GB", file=sys.stderr)
            self.hashes[path] = sha256(path)
            if (path,) in self.nodes:
                self.nodes[path,].sha256 = self.hashes[path]
        return self.hashes[path]

    def node(self, paths: tuple[Path, ...]) -> Node:
        """The node of a file, or of the shards of a folder."""
        if paths not in self.nodes:
            node = self.nodes[paths] = Node(_name(paths), len(paths))
            present = [path for path in paths if path.is_file()]
            try:
                self._read(node, present)
            except (ValueError, OSError) as error:
                node.state, node.why = CHANGED, str(error)
        return self.nodes[paths]

    def _read(self, node: Node, paths: list[Path]) -> None:
        """Fill in what the files say of their making."""
        records = [record for path in paths if (record := read_record(path))]
        if records:
            node.record = record = records[0]
            node.made = _made(records)
            if any(other.edited for other in records):
                node.state, node.why = CHANGED, "its record was edited"
            elif record.sha256:
                same = record.sha256 == self.hash(paths[0])
                node.state = OK if same else CHANGED
                node.why = "" if same else "its record is of another file"
            node.parents = self._parents(records)
        if len(paths) == node.files == 1:
            node.rows = inventory_rows(paths[0])
        if any(row.sha256 for row in node.rows):
            node.parents.append(self._videos(node.rows))

    def _parents(self, records: list[Record]) -> list[Edge]:
        """The parents of a file or of shards; those of one folder as one."""
        groups: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        edges = []
        for record in records:
            for name, entry in record.parents.items():
                path = Path(entry["path"])
                if path.name.startswith("shard-"):
                    group = (name.rpartition("/")[0] or name, str(path.parent))
                    groups[group][path.name] = entry["sha256"]
                else:
                    edges.append(self._edge(name, entry))
        for (name, folder), files in groups.items():
            paths = tuple(Path(folder) / file for file in sorted(files))
            edges.append(self._checked(name, paths, _together(files), self._hashes))
        return list({(e.name, e.node.path, e.recorded): e for e in edges}.values())

    def _edge(self, name: str, entry: Mapping[str, Any]) -> Edge:
        """A parent that is one file or one folder."""
        folder = Path(entry["path"])
        kinds = ("sha256", "made", "listing")
        recorded = next((entry[kind] for kind in kinds if kind in entry), "")
        if not entry["path"]:
            node = Node("")
            return Edge(name, node, recorded, UNRECORDED, "its path was not recorded")
        if "files" in entry:
            paths = tuple(folder / file for file in entry["files"])
            return self._checked(name, paths, recorded, lambda p: self.nodes[p].made)
        if "listing" in entry:
            node = Node(str(folder))
            if not folder.is_dir():
                return Edge(name, node, recorded, MISSING)
            same = listing(folder) == recorded
            why = "" if same else "other files, or of other sizes"
            return Edge(name, node, recorded, OK if same else CHANGED, why)
        return self._checked(name, (folder,), recorded, lambda one: self.hash(*one))

    def _checked(
        self,
        name: str,
        paths: tuple[Path, ...],
        recorded: str,
        found: Callable[[tuple[Path, ...]], str],
    ) -> Edge:
        node = self.node(paths)
        absent = [path.name for path in paths if not path.is_file()]
        if absent:
            why = "" if len(paths) == 1 else _some(absent)
            return Edge(name, node, recorded, MISSING, why)
        if node.state == CHANGED:
            return Edge(name, node, recorded, CHANGED, node.why)
        if found(paths) != recorded:
            return Edge(name, node, recorded, CHANGED, "not the one that was read")
        return Edge(name, node, recorded, OK)

    def _hashes(self, paths: tuple[Path, ...]) -> str:
        return _together({path.name: self.hash(path) for path in paths})

    def _videos(self, rows: tuple[InventoryRow, ...]) -> Edge:
        found = [row for row in rows if row.sha256]
        folder = os.path.commonpath([Path(row.path).parent for row in found])
        node = Node(folder, len(found))
        absent = [row.video_id for row in found if not Path(row.path).exists()]
        if absent:
            return Edge("videos", node, "", MISSING, _some(absent))
        if not self.videos:
            why = "all there; --videos compares their hashes"
            return Edge("videos", node, "", UNCHECKED, why)
        other = other_videos(found)
        if other:
            return Edge("videos", node, "", CHANGED, _some(other))
        return Edge("videos", node, "", OK)


def _made(records: list[Record]) -> str:
    """How shards were made, as `ShardFolder.as_parent` says it; nothing if unlike."""
    made = {sha256_text(canonical_json(record.attributes)) for record in records}
    return made.pop() if len(made) == 1 else ""


def _together(files: Mapping[str, str]) -> str:
    """One hash of the hashes of several files, by name."""
    return sha256_text(canonical_json(dict(files)))


def _name(paths: tuple[Path, ...]) -> str:
    return str(paths[0] if len(paths) == 1 else paths[0].parent)


def _some(names: list[str]) -> str:
    """How many there are, and the first ones."""
    shown = names[:SHOWN] + ["..."] * (len(names) > SHOWN)
    return f"{len(names)}: {', '.join(shown)}"
