"""Arrays in .npy files that others wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.lib.format import open_memmap
from numpy.typing import NDArray

KINDS = "fiu"  # what NumPy calls floats and integers


def open_array(path: Path) -> NDArray[Any]:
    """Map a .npy file of numbers into memory; its numbers are not read yet.

    Raises:
        ValueError: the file is something else, or shorter than its header says. Arrays
            of Python objects, whose reading could run code, are refused.
    """
    try:
        array = open_memmap(path, mode="r")
    except (ValueError, OSError, EOFError, OverflowError, TypeError) as error:
        raise ValueError(f"{path} is not a NumPy array: {error}") from None
    if array.dtype.kind not in KINDS:
        raise ValueError(f"{path} is not a NumPy array of numbers but {array.dtype}")
    return array
