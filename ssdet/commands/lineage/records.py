"""What a file says of its making: its provenance block, wherever the file keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssdet.config import canonical_json
from ssdet.data.hdf5 import damage, get_attributes
from ssdet.data.inventory import COLUMNS
from ssdet.data.shard_folder import OWN
from ssdet.files import sha256_text
from ssdet.provenance import record_path

REMEDY = "run its stage again"
# Of the parts of a training's config: hashes of how the folders it read were made.
MADE = {"frames_made": "frames", "features_made": "features"}
# The files that have a record beside them.
BESIDE = (".pt", ".csv")


@dataclass(frozen=True)
class Record:
    """What a file says of its making.

    Attributes:
        block: the provenance block.
        dataset: name of the data set; empty if it is not said.
        sha256: of the file, if the record lies beside it and says so.
        content: of a result: all of it.
        attributes: of a shard: what `made` is a hash of.
    """

    block: Mapping[str, Any]
    dataset: str
    sha256: str = ""
    content: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stage(self) -> str:
        """Name of the stage."""
        return str(self.block["stage"])

    @property
    def config(self) -> Mapping[str, Any]:
        """The config sections that the stage read, and what else told it what to do."""
        config: Mapping[str, Any] = self.block["config"]
        return config

    @property
    def edited(self) -> bool:
        """Whether the config is not the one that the stage hashed."""
        digest = self.block.get("config_sha256")
        return digest is not None and digest != sha256_text(canonical_json(self.config))

    @property
    def parents(self) -> dict[str, dict[str, Any]]:
        """By name: path, and sha256, made or listing; path is empty if not recorded."""
        parents = {name: dict(entry) for name, entry in self.block["parents"].items()}
        for key, name in MADE.items():
            absent = not any(known.split("/")[0] == name for known in parents)
            if absent and key in self.config:
                parents[name] = {"path": "", "made": self.config[key]}
        return parents


def subject(path: Path) -> Path:
    """The file that a record is of, if `path` is a record beside one."""
    if path.suffix == ".json":
        for suffix in BESIDE:
            if path.with_suffix(suffix).is_file():
                return path.with_suffix(suffix)
    return path


def read_record(path: Path) -> Record | None:
    """Read what a file says of its making; None if it says nothing.

    Raises:
        ValueError: the file, or the record beside it, is damaged.
        OSError: it cannot be read.
    """
    if path.suffix == ".h5":
        return _of_hdf5(path)
    if path.suffix == ".json":
        return _of_json(path)
    if path.suffix == ".pt" or is_inventory(path):
        if record_path(path).is_file():
            return _of_json(record_path(path))
        return _of_checkpoint(path) if path.suffix == ".pt" else None
    return None


def _of_hdf5(path: Path) -> Record | None:
    import h5py

    with damage(path, REMEDY), h5py.File(path, "r", locking=False) as file:
        attributes = get_attributes(file)
    block = _block(attributes.get("provenance"))
    if block is None:
        return None
    shared = {key: value for key, value in attributes.items() if key not in OWN}
    return Record(block, str(attributes.get("dataset", "")), attributes=shared)


def _of_json(path: Path) -> Record | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged: it is not JSON ({error})") from None
    if not isinstance(content, dict):
        return None
    told = content.get("external_data")  # of detected segments
    inside = told.get("provenance") if isinstance(told, dict) else None
    block = _block(content.get("provenance", inside))
    if block is None:
        return None
    dataset = content.get("dataset", block["config"].get("name", ""))
    return Record(block, str(dataset), str(content.get("sha256", "")), content)


def _of_checkpoint(path: Path) -> Record:
    """What a checkpoint itself holds, where the record beside it is lost."""
    from ssdet.train.checkpoint import load_checkpoint

    content = load_checkpoint(path, "checkpoint")
    block = {key: content[key] for key in ("stage", "revision", "config")}
    parents = content["parents"].items()
    block["parents"] = {name: {"path": "", "sha256": sha} for name, sha in parents}
    return Record(block, str(content["config"].get("name", "")))


def _block(value: object) -> dict[str, Any] | None:
    """A provenance block; None if this is none."""
    if not isinstance(value, dict) or not {"stage", "revision"} <= value.keys():
        return None
    mappings = (value.get("config"), value.get("parents"))
    return value if all(isinstance(part, dict) for part in mappings) else None


def is_inventory(path: Path) -> bool:
    """Whether a file has the columns of an inventory."""
    if path.suffix != ".csv":
        return False
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.readline().strip() == ",".join(COLUMNS)
