"""What produced a file: config, code, parents, machine, time.

Every output of a stage carries one such block: JSON in HDF5 attributes (`provenance`),
a mapping in checkpoints and results.
"""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ssdet import __version__
from ssdet.files import sha256, sha256_text


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
    parents: Mapping[str, str | Path],
    started: Moment,
    device: str = "cpu",
    gpus: int = 0,
) -> dict[str, Any]:
    """Build the provenance block of an output.

    Args:
        stage: name of the stage, as in the workflow.
        revision: the stage's `REVISION`.
        sections: config sections read, by name, parsed.
        parents: name -> path of every file that the output was computed from.
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
        "parents": {
            name: {"path": str(path), "sha256": sha256(path)}
            for name, path in sorted(parents.items())
        },
        "commit": commit(),
        "versions": versions(),
        "device": device,
        "started": started.utc,
        "ended": ended.utc,
        "gpu_hours": round(seconds / 3600 * gpus, 4),
    }


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
