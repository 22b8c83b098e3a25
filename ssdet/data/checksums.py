"""Checksums inside HDF5 files: data in which a bit has turned is refused, not used.

HDF5 itself has checksums of headers, but of data only where they lie in chunks. Here a
small data set carries the CRC-32 of all its bytes as its attribute `crc32`; of a large
one, parts that are read alone (a frame, a row, a video) have theirs in a data set or a
column `crc32`. Files written before have none of these and are read unchecked.
zlib-ng, where it is installed, computes the same ten times faster.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

try:
    from zlib_ng.zlib_ng import crc32 as crc32_of_bytes
except ImportError:  # slower, the same values
    from zlib import crc32 as crc32_of_bytes

NAME = "crc32"


def crc32(*arrays: npt.NDArray[Any]) -> int:
    """CRC-32 of the bytes of arrays, one after the other."""
    value = 0
    for array in arrays:
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        value = crc32_of_bytes(data.data, value)
    return value


def crc32_of_rows(array: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """CRC-32 of each row of an array (T, ...): (T,)."""
    if not array.size:
        return np.zeros(len(array), np.uint32)
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    step = len(data) // len(array)
    starts = range(0, len(data), step)
    sums = [crc32_of_bytes(data[at : at + step]) for at in starts]
    return np.array(sums, np.uint32)


def seal(dataset: h5py.Dataset) -> None:
    """Write the checksum of a data set that is complete."""
    dataset.attrs[NAME] = np.uint32(crc32(dataset[()]))


def sealed(dataset: h5py.Dataset) -> npt.NDArray[Any]:
    """Read a whole data set that may have a checksum.

    Raises:
        OSError: the data are not those that were written.
    """
    data: npt.NDArray[Any] = dataset[()]
    if NAME in dataset.attrs and dataset.attrs[NAME] != crc32(data):
        raise mismatch(dataset.name)
    return data


def mismatch(what: str) -> OSError:
    """The error for data whose checksum differs."""
    return OSError(f"the checksum of {what} does not fit")
