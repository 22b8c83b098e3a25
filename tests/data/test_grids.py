"""The frames a two-stream detector kept, in and out of its file of predictions."""

import h5py
import numpy as np
import pytest

from ssdet.data.grids import Sampling
from ssdet.data.predictions import Predictions, write_predictions


def sampling(times_s, confidence):
    return Sampling(np.array(times_s, float), np.array(confidence, np.float32))


def write(path, videos):
    facts = {"model": "m", "dataset": "home", "classes": ("a",)}
    write_predictions(path, videos, **facts, checkpoint_sha256="", provenance=dict)


def video(name, *grid):
    return name, np.zeros((4, 1)), np.arange(4.0), *grid


def test_round_trip(tmp_path):
    grids = {
        "käse": sampling([0, 0.5, 0.5, 3], [0.25, 1, 0]),
        "b": sampling([0, 2], [0.5]),
    }
    videos = [video("c"), *(video(name, grid) for name, grid in grids.items())]
    write(tmp_path / "p.h5", videos)
    with Predictions(tmp_path / "p.h5") as found:
        assert found.sampling("c") is None
        for name, grid in grids.items():
            got = found.sampling(name)
            assert got.times_s.tolist() == grid.times_s.tolist()
            assert got.confidence.tolist() == grid.confidence.tolist()
            assert got.confidence.dtype == np.float32
        with pytest.raises(KeyError, match="no video z"):
            found.sampling("z")


def test_without_any_grid_there_is_no_group(tmp_path):
    write(tmp_path / "p.h5", [video("a")])
    with h5py.File(tmp_path / "p.h5") as file:
        assert "grid" not in file
    assert Predictions(tmp_path / "p.h5").sampling("a") is None


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (sampling([0, 1], [0.5, 0.5]), r"times_s \(L \+ 1,\) .* got \(2,\) and \(2,\)"),
        (sampling([0], []), r"got \(1,\) and \(0,\)"),
        (sampling([1, 2], [0.5]), "must begin at 0 and not fall"),
        (sampling([0, 2, 1], [0.5, 0.5]), "must begin at 0 and not fall"),
        (sampling([0, np.nan], [0.5]), "must begin at 0 and not fall"),
        (sampling([0, 1], [1.5]), r"must lie in \[0, 1\]"),
        (sampling([0, 1], [np.nan]), r"must lie in \[0, 1\]"),
    ],
)
def test_bad_grids_leave_no_file(tmp_path, grid, message):
    with pytest.raises(ValueError, match=f"video b: .*{message}"):
        write(tmp_path / "p.h5", [video("a"), video("b", grid)])
    assert not list(tmp_path.iterdir())
