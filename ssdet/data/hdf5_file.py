"""HDF5 files that are being written: a full disk is one clear error.

HDF5 tries to write what it holds in memory again and again when a file is closed, and
complains each time, or crashes. So it never learns that a write failed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py


class _Sink(io.FileIO):
    """A file that keeps its first error, and takes and drops all that comes after."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of the data, or drop it."""
        left = memoryview(data).cast("B")
        try:
            while left and self.error is None:
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Change the length, or do not."""
        try:
            return super().truncate(size) if self.error is None else size or 0
        except OSError as error:
            self.error = error
            return size or 0


class NewFile(h5py.File):
    """A file that is being written."""

    def __init__(self, sink: _Sink) -> None:
        """Write into the sink."""
        super().__init__(sink, "w", libver=("v110", "latest"))
        self._sink = sink

    def see_written(self) -> None:
        """Stop a long job at the first error, not at its end.

        Raises:
            OSError: what was written so far is not all on the disk.
        """
        if self._sink.error is not None:
            raise self._sink.error


@contextmanager
def create(path: Path) -> Iterator[NewFile]:
    """Open a new file for writing; its headers and attributes have checksums.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    with _Sink(path, "w+") as sink:
        try:
            with NewFile(sink) as file:
                yield file
        except Exception:
            if sink.error is not None:  # then it missed what was dropped
                raise sink.error from None
            raise
        if sink.error is not None:
            raise sink.error
