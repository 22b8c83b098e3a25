"""Checkpoints, and the rolling state that lets a killed run continue.

A checkpoint is a plain mapping that `torch.load(weights_only=True)` accepts. It holds
nothing that differs between two runs of one job (no times): those are in the record
beside it.
"""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor

from ssdet.files import atomic, sha256, sha256_bytes, sha256_text
from ssdet.provenance import check_recorded, write_record
from ssdet.stage import StageError
from ssdet.tensor_files import load_pickled, load_safetensors

log = logging.getLogger(__name__)

FORMAT = "ssdet_checkpoint"
VERSION = 1
# What every checkpoint holds, and of which kind; and every rolling state.
KINDS = {"stage": str, "config": dict, "classes": list, "weights": dict}
STATE = {"fingerprint", "job", "step", "parts"}
MARKS = {"format": FORMAT, "version": VERSION}
KEPT = 2  # rolling states kept: the newest, and one should it be damaged


class Stateful(Protocol):
    """What a rolling state holds: a model, an optimiser."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes while training."""
        ...

    def load_state_dict(self, state: Any, /) -> Any:
        """Continue from such a state."""
        ...


class Rolling:
    """The state of an unfinished run, in the undeclared folder `<out>.resume`."""

    def __init__(
        self,
        out: Path,
        job: Mapping[str, Any],
        parts: Mapping[str, Stateful],
        leads: bool = True,
    ) -> None:
        """Prepare; nothing is read or written yet.

        Args:
            out: the checkpoint that the run will end with.
            job: what the run computes (config sections, revision, seed, parents'
                hashes): a state of another job is refused.
            parts: what to save, by name.
            leads: whether this process writes.
        """
        self.folder = resume_folder(out)
        self.parts = parts
        self.leads = leads
        self.job = json.dumps(job, sort_keys=True)
        self.fingerprint = sha256_text(self.job)

    def restore(self) -> int:
        """Load the newest whole state.

        Returns:
            The number of steps done; 0 if there is no state.

        Raises:
            StageError: the state was left by another job.
        """
        for path in reversed(states(self.folder)):
            state = self._read(path)
            if state is None:
                log.warning("%s is damaged, trying an older state", path)
                if self.leads:
                    path.unlink()
                continue
            if state["fingerprint"] != self.fingerprint:
                raise StageError(
                    f"{self.folder} holds the state of another job"
                    f" ({_differences(state['job'], self.job)}). Remove that folder to"
                    " start afresh, or restore the configuration to go on with the old"
                    " job"
                )
            for name, part in self.parts.items():
                part.load_state_dict(state["parts"][name])
            log.info("continuing at step %d from %s", state["step"], path)
            return int(state["step"])
        return 0

    def save(self, step: int) -> None:
        """Write the state after `step` steps, whole or not at all.

        All processes must call: parts may gather what lies in several.
        """
        parts = {name: part.state_dict() for name, part in self.parts.items()}
        if not self.leads:
            return
        state = {"fingerprint": self.fingerprint, "job": self.job, "step": step}
        data = _to_bytes({**state, "parts": parts})
        temporary = self.folder / f".{os.getpid()}.tmp"
        with atomic(temporary) as file:
            file.write_bytes(data)
        path = self.folder / f"step-{step:09d}.{sha256(temporary)[:16]}.pt"
        os.replace(temporary, path)
        for old in states(self.folder)[:-KEPT]:
            old.unlink()

    def _read(self, path: Path) -> dict[str, Any] | None:
        if sha256(path)[:16] != path.name.split(".")[1]:
            return None
        state = load_pickled(path)
        if not isinstance(state, dict) or not state.keys() >= STATE:
            raise StageError(f"{path} is not a state of ssdet; remove {self.folder}")
        return state


def resume_folder(out: Path) -> Path:
    """Where the rolling state of a checkpoint lies; no output that Snakemake knows."""
    return Path(f"{out}.resume")


def states(folder: Path) -> list[Path]:
    """The rolling states in such a folder, the oldest first."""
    return sorted(folder.glob("step-*.pt"))


def metrics_path(out: Path) -> Path:
    """Where the numbers of a training lie: same name, `.jsonl`."""
    return Path(out).with_suffix(".jsonl")


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint whole or not at all; equal content gives equal bytes."""
    data = _to_bytes({**MARKS, **content})
    with atomic(path) as file:
        file.write_bytes(data)


def finish_checkpoint(
    out: Path,
    checkpoint: Mapping[str, Any],
    provenance: Mapping[str, Any],
    more: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write the record and the checkpoint, then remove the rolling state.

    The record has the checkpoint's hash, by which one knows that it is of it, and
    `more`.
    """
    data = _to_bytes({**MARKS, **checkpoint})
    write_record(out, provenance, sha256_bytes(data), more)
    with atomic(out) as file:
        file.write_bytes(data)
    folder = resume_folder(out)
    for state in states(folder):  # first: a run that went on from one needs the rest
        state.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def load_checkpoint(path: Path, flag: str = "--checkpoint") -> dict[str, Any]:
    """Read a checkpoint of ours.

    Raises:
        StageError: the file is missing, damaged, or something else.
    """
    if not Path(path).is_file():
        raise StageError(f"no checkpoint at {path} ({flag})")
    try:
        check_recorded(Path(path), "run its stage again")
        content = load_pickled(path)
        _see_whole(path)
    except (ValueError, OSError) as error:
        raise StageError(
            f"{path} ({flag}) cannot be read as a checkpoint: {error}. It is damaged or"
            " of another program; remove it and run its stage again"
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise StageError(f"{path} ({flag}) is not a checkpoint of ssdet")
    if content.get("version") != VERSION:
        raise StageError(
            f"{path} ({flag}) has format version {content.get('version')}, this is"
            f" {VERSION}; run its stage again"
        )
    for name, kind in KINDS.items():
        if not isinstance(content.get(name), kind):
            raise StageError(
                f"{path} ({flag}) is not a checkpoint of ssdet: its {name} is a"
                f" {type(content.get(name)).__name__}; run its stage again"
            )
    return content


@contextmanager
def rebuilding(path: Path) -> Iterator[None]:
    """Turn what a checkpoint with odd content raises into one clear error.

    Raises:
        StageError: a network cannot be built from what it says of it, or its weights
            do not fit.
    """
    try:
        yield
    except (LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise StageError(
            f"{path} does not hold the network that it describes"
            f" ({type(error).__name__}: {error}); run its stage again"
        ) from None


def load_initial(path: Path) -> dict[str, Tensor]:
    """Read the weights a run starts from: a checkpoint of ours or safetensors.

    Raises:
        StageError: the file is missing or of neither kind.
    """
    if Path(path).suffix != ".safetensors":
        weights: dict[str, Tensor] = load_checkpoint(path, "--init")["weights"]
        return weights
    if not Path(path).is_file():
        raise StageError(f"no weights at {path} (--init)")
    try:
        return load_safetensors(path)
    except ValueError as error:
        raise StageError(f"--init: {error}") from None


def _to_bytes(content: Mapping[str, Any]) -> bytes:
    # through memory: torch.save to a path writes the path's name into the file
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    return buffer.getvalue()


def _see_whole(path: Path) -> None:
    """Check the checksums of a checkpoint's parts, which PyTorch does not.

    Raises:
        ValueError: one does not fit, or this is no zip file that can be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} does not fit")


def _differences(theirs: str, ours: str) -> str:
    """Name what two jobs differ in."""
    old, new = json.loads(theirs), json.loads(ours)
    keys = sorted(k for k in {*old, *new} if old.get(k) != new.get(k))
    return f"they differ in {', '.join(keys)}"
