"""What results were made from, as the files themselves say: a walk from file to parent.

Whether the files are still those that the records name is not looked at here, since
their hashes would have to be computed again: `ssdet provenance` does that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from ssdet.data.hdf5 import damage, get_attributes
from ssdet.provenance import record_path

Block = Mapping[str, Any]
HASHES = ("sha256", "made", "listing")  # by which a record knows a parent
TRAINED = frozenset(  # stages whose rule is named train_<stage>
    ("fine", "coarse", "slow", "slowfast", "coarse_fine", "end_to_end", "head", "spot")
)


@dataclass(frozen=True)
class Made:
    """A file, or a folder of shards, and the record of its making.

    Attributes:
        path: as what was made from it names it.
        hashes: likewise, by their kind: sha256 of a file, `made` or `listing` of a
            folder; none of a result, which nothing was made from.
        files: names of the shards of a folder.
        block: its provenance block; None for labels and foreign files, which have none,
            and for files that are gone.
        there: whether it is still there.
    """

    path: str
    hashes: Mapping[str, str]
    files: tuple[str, ...]
    block: Block | None
    there: bool

    @property
    def rule(self) -> str | None:
        """The rule of the workflow that made it, None if it is not known."""
        if self.block is None:
            return "inventory" if Path(self.path).name == "inventory.csv" else None
        return rule_of(self.block["stage"])

    @property
    def parents(self) -> dict[str, str]:
        """Paths of what it was made from, by what they are to it."""
        entries = {} if self.block is None else self.block["parents"]
        return {name: entry["path"] for name, entry in entries.items() if entry["path"]}


def rule_of(stage: str) -> str:
    """Name of a stage's rule: that of the stage, with a verb if it needs one."""
    return f"train_{stage}" if stage in TRAINED else stage


def lineage(results: Iterable[str | Path]) -> dict[str, Made]:
    """Results and all that they were made from, by path, results first.

    Raises:
        ValueError: a result has no record, or a record cannot be read.
    """
    found: dict[str, Made] = {}
    waiting: list[Mapping[str, Any]] = [{"path": str(path)} for path in results]
    for entry in waiting:
        if read_record(Path(entry["path"])) is None:
            raise ValueError(
                f"{entry['path']} says nothing of its making; run ensemble again"
            )
    while waiting:
        entry = waiting.pop(0)
        if not entry["path"] or entry["path"] in found:
            continue
        made = _made(entry)
        found[made.path] = made
        if made.block is not None:
            waiting += made.block["parents"].values()
    return found


def _made(entry: Mapping[str, Any]) -> Made:
    """What a child's record calls a parent, with the parent's own record.

    The shards of a folder have one record in common, but for the hours.
    """
    path, files = Path(entry["path"]), tuple(entry.get("files", ()))
    block = read_record(path / files[0] if files else path)
    hashes = {kind: entry[kind] for kind in HASHES if kind in entry}
    return Made(entry["path"], hashes, files, block, path.exists())


def read_record(path: Path) -> Block | None:
    """The provenance block of a file, or None if it has none or is gone.

    Raises:
        ValueError: the file is damaged.
    """
    if path.suffix in (".pt", ".csv"):
        path = record_path(path)
    if not path.is_file() or path.suffix not in (".json", ".h5"):
        return None
    remedy = "remove it and run its stage again"
    if path.suffix == ".h5":
        with damage(path, remedy), h5py.File(path, "r", locking=False) as file:
            block = get_attributes(file).get("provenance")
    else:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is no JSON ({error}); {remedy}") from None
        block = content.get("provenance") if isinstance(content, dict) else None
    return block if isinstance(block, dict) and "stage" in block else None
