"""HDF5 files on a disk that is full: one error, at once or at the end, and no crash."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from ssdet.data.hdf5_file import create

FULL = Path("/dev/full")  # takes nothing


def test_what_is_written_is_read_back(tmp_path):
    with create(tmp_path / "a.h5") as file:
        file["x"] = np.arange(100_000)
        file.attrs["complete"] = True
        file.see_written()
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["x"][-1] == 99_999
        assert file.attrs["complete"]


def test_an_error_is_seen_by_who_asks():
    with pytest.raises(OSError, match="No space left"), create(FULL) as file:
        file["large"] = np.zeros(100_000)
        with pytest.raises(OSError, match="No space left"):
            file.see_written()


def test_who_does_not_ask_is_told_at_the_end():
    with pytest.raises(OSError, match="No space left"), create(FULL) as file:
        file["small"] = np.arange(10)  # is written when the file is closed


def test_another_error_goes_first(tmp_path):
    with pytest.raises(ValueError, match="mine"), create(tmp_path / "a.h5") as file:
        file["x"] = 1
        raise ValueError("mine")
