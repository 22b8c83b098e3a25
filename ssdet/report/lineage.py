"""What results were made from, as the files themselves say: a walk from file to parent.

Whether the files are still those that the records name is not looked at here; for that
their hashes must be computed again, which takes long.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from ssdet.data.hdf5 import damage, get_attributes
from ssdet.train.checkpoint import record_path

Block = Mapping[str, Any]
TRAINED = frozenset(  # stages whose rule is named train_<stage>
    ("fine", "coarse", "slow", "slowfast", "coarse_fine", "end_to_end", "head", "spot")
)


@dataclass(frozen=True)
class Made:
    """A file and the record of its making.

    Attributes:
        path: as the file that was made from it names it.
        sha256: likewise; None for a result, which nothing was made from.
        block: its provenance block; None for labels, inventories and foreign weights,
            which have none, and for files that are gone.
        there: whether the file is still there.
    """

    path: str
    sha256: str | None
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
        """Paths of the files that it was made from, by what they are to it."""
        if self.block is None:
            return {}
        return {name: parent["path"] for name, parent in self.block["parents"].items()}


def rule_of(stage: str) -> str:
    """Name of a stage's rule: that of the stage, with a verb if it needs one."""
    return f"train_{stage}" if stage in TRAINED else stage


def lineage(results: Iterable[str | Path]) -> dict[str, Made]:
    """Results and all that they were made from, by path, each after its children.

    Raises:
        ValueError: a result has no record, or a record cannot be read.
    """
    found: dict[str, Made] = {}
    waiting: list[tuple[str, str | None]] = [(str(path), None) for path in results]
    for path, _ in waiting:
        if read_record(Path(path)) is None:
            raise ValueError(f"{path} says nothing of its making; run ensemble again")
    while waiting:
        path, sha256 = waiting.pop(0)
        if path in found:
            continue
        made = Made(path, sha256, read_record(Path(path)), Path(path).exists())
        found[path] = made
        if made.block is not None:
            parents = made.block["parents"].values()
            waiting += [(parent["path"], parent["sha256"]) for parent in parents]
    return found


def read_record(path: Path) -> Block | None:
    """The provenance block of a file, or None if it has none or is gone.

    Raises:
        ValueError: the file is damaged.
    """
    if path.suffix == ".pt":
        path = record_path(path)
    if not path.is_file() or path.suffix not in (".json", ".h5"):
        return None
    remedy = "remove it and run its stage again"
    if path.suffix == ".h5":
        with damage(path, remedy), h5py.File(path, "r", locking=False) as file:
            block = get_attributes(file).get("provenance")
    else:
        try:
            block = json.loads(path.read_text(encoding="utf-8")).get("provenance")
        except (ValueError, AttributeError) as error:
            raise ValueError(
                f"{path} is no JSON of ssdet ({error}); {remedy}"
            ) from None
    return block if block else None
