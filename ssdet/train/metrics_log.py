"""The numbers of a training, step by step: lines of JSON, and TensorBoard if wanted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ssdet.files import atomic, writing
from ssdet.stage import StageError


class MetricsLog:
    """Lines of JSON that grow with the run: {"step": 12, "loss": 0.7, ...}.

    While the run lasts they lie in its resume folder; a run that is continued cuts off
    what came after the state it continues from.
    """

    def __init__(self, path: Path, tensorboard: Path | None = None) -> None:
        """Prepare; nothing is opened before the first line.

        Args:
            path: the file.
            tensorboard: folder for event files too.
        """
        self.path, self.folder = path, tensorboard
        self.size = 0  # bytes that count
        self._file: Any = None
        self._events: Any = None

    def write(self, step: int, **values: float) -> None:
        """Add a line.

        Args:
            step: steps done.
            values: numbers by name.
        """
        if self._file is None:
            self._open(step)
        line = json.dumps({"step": step, **values}) + "\n"
        with writing(self.path):
            self._file.write(line.encode())
        self.size += len(line)
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(name, value, step)

    def state_dict(self) -> dict[str, Any]:
        """For the rolling state; what was written is safe on the disk after it."""
        if self._file is not None:
            with writing(self.path):
                self._file.flush()
                os.fsync(self._file.fileno())
        return {"size": self.size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From the rolling state."""
        self.size = state["size"]

    def finish(self, out: Path) -> None:
        """Close, and copy the lines to their place, whole or not at all."""
        if self._file is not None:
            with writing(self.path):
                self._file.close()
        if self._events is not None:
            self._events.close()
        with atomic(out) as file:
            file.write_bytes(self.path.read_bytes() if self.path.exists() else b"")

    def _open(self, step: int) -> None:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("r+b" if self.path.exists() else "w+b")
        self.size = min(self.size, self._file.seek(0, os.SEEK_END))
        self._file.truncate(self.size)
        self._file.seek(self.size)
        if self.folder is not None:
            self._events = _event_writer(self.folder, step)


def timing(path: Path) -> dict[str, float]:
    """What the lines of a finished run say of its time.

    Returns:
        `steps`, how many; `steps_s`, the seconds they took, without validation;
        `waited_s`, those of them that went by waiting for data, and `data_wait_share`,
        their share.
    """
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    steps = [line for line in lines if "step_s" in line]
    seconds = sum(line["step_s"] for line in steps)
    waited = sum(line["waited_s"] for line in steps)
    return {
        "steps": len(steps),
        "steps_s": round(seconds, 3),
        "waited_s": round(waited, 3),
        "data_wait_share": round(waited / seconds, 4) if seconds else 0.0,
    }


def _event_writer(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise StageError(
            "resources.tensorboard is true, but TensorBoard is not installed"
            f" ({error}): pip install tensorboard, or set it to false"
        ) from None
    return SummaryWriter(str(folder), purge_step=step)
