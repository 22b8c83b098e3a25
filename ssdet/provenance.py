"""What produced a file: config, code, parents, machine, time.

Every output of a stage carries one such block: JSON in HDF5 attributes (`provenance`),
a mapping in results and in the record beside a checkpoint or an inventory.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ssdet import __version__
from ssdet.files import sha256, sha256_text, write_text

# Path of a file; or of a folder that is too large to hash, what it is known by: path,
# and `made`, a hash of how its `files` were made, or `listing`, as below.
Parent = str | Path | Mapping[str, Any]


def record_path(path: str | Path) -> Path:
    """Where the record of a checkpoint or inventory lies: same name, `.json`."""
    return Path(path).with_suffix(".json")


def write_record(
    path: Path,
    provenance: Mapping[str, Any],
    digest: str,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write the record of a file that holds none itself, as its bytes must not vary.

    Args:
        path: the file; the record lies beside it.
        provenance: its block.
        digest: sha256 of the file, by which one knows that the record is of it.
        more: what else the record is to hold.
    """
    record = {"provenance": dict(provenance), **more, "sha256": digest}
    write_text(record_path(path), json.dumps(record, indent=1) + "\n")


def check_recorded(path: Path, remedy: str) -> None:
    """See that a file is the one its record is of; without a record it is believed.

    Raises:
        ValueError: it is not.
    """
    beside = record_path(path)
    if not beside.is_file():
        return
    try:
        stated = json.loads(beside.read_text(encoding="utf-8"))["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{beside} is no record ({error!r}); {remedy}") from None
    if stated != sha256(path):
        raise ValueError(
            f"{path} is not the file that its record {beside} is of: it is damaged or"
            f" was edited; {remedy}"
        )


@dataclass(frozen=True)
class Moment:
    """A moment of this process.

    Attributes:
        utc: what the clock said, ISO 8601.
        monotonic_s: seconds, also right if the clock is set meanwhile.
    """

    utc: str
    monotonic_s: float


def now() -> Moment:
    """This moment."""
    return Moment(datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic())


def block(
    stage: str,
    revision: int,
    sections: Mapping[str, Any],
    parents: Mapping[str, Parent],
    started: Moment,
    device: str = "cpu",
    gpus: int = 0,
) -> dict[str, Any]:
    """Build the provenance block of an output.

    Args:
        stage: name of the stage, as in the workflow.
        revision: the stage's `REVISION`.
        sections: config sections read, by name, parsed.
        parents: name -> everything that the output was computed from: path of a file,
            or what `as_parent` of a folder says.
        started: `now()` when the stage began.
        device: name of the device that computed.
        gpus: how many GPUs the stage held.

    Returns:
        A mapping of plain JSON types.
    """
    text = json.dumps(sections, sort_keys=True, separators=(",", ":"))
    ended = now()
    seconds = ended.monotonic_s - started.monotonic_s
    return {
        "stage": stage,
        "revision": revision,
        "config": json.loads(text),
        "config_sha256": sha256_text(text),
        "parents": {name: _parent(parent) for name, parent in sorted(parents.items())},
        "commit": commit(),
        "versions": versions(),
        "device": device,
        "started": started.utc,
        "ended": ended.utc,
        "gpu_hours": round(seconds / 3600 * gpus, 4),
    }


def label_files(
    args: argparse.Namespace,
    names: Sequence[str] = ("training", "testing", "classes"),
) -> dict[str, Path]:
    """The label files that a command line names, as parents."""
    files = {name: getattr(args, name) for name in names}
    return {f"labels/{name}": Path(path) for name, path in files.items() if path}


def listing(folder: Path) -> str:
    """A hash of the names and sizes of the files in a folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return sha256_text("\n".join(f"{p.name} {p.stat().st_size}" for p in files))


def _parent(parent: Parent) -> dict[str, Any]:
    if isinstance(parent, Mapping):
        return dict(parent)
    return {"path": str(parent), "sha256": sha256(parent)}


def versions() -> dict[str, str | None]:
    """Versions of what computes: ssdet, python, torch, CUDA."""
    import torch

    return {
        "ssdet": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }


def commit() -> str:
    """The commit of the checkout that ssdet lies in, `+dirty` if files were changed."""
    folder = Path(__file__).resolve().parents[1]
    head = _git(folder, "rev-parse", "HEAD")
    if head is None:
        return "unknown"
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return head + ("+dirty" if changed else "")


def _git(folder: Path, *arguments: str) -> str | None:
    if not (folder / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
