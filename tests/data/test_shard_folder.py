"""What frames and features share: shards are opened once, and few at a time."""

import h5py
import numpy as np
import pytest

from ssdet.data import shard_folder
from ssdet.data.hdf5 import set_attributes
from ssdet.data.hdf5_file import create
from ssdet.data.shard_folder import OPEN_FILES, Kind, ShardFolder

KIND = Kind(
    "things", "test_things", 3, "values", "first", "count", (), "make them again"
)
INDEX = [("video_id", "S4"), ("first", "i8"), ("count", "i4")]
SHARDS = OPEN_FILES + 4


def write(path, videos, values=None, **attributes):
    """Videos: (name, first, count)."""
    with create(path) as file:
        marks = {"format": "test_things", "version": 3, "complete": True}
        set_attributes(file, {**marks, **attributes})
        rows = sum(video[2] for video in videos) if values is None else values
        file["values"] = np.zeros(rows)
        file["index"] = np.array(videos, INDEX)


@pytest.fixture
def folder(tmp_path):
    for shard in range(SHARDS):
        path = tmp_path / f"shard-{shard:03d}.h5"
        write(path, [(f"a{shard:02d}", 0, 2), (f"b{shard:02d}", 2, 1)], shard=shard)
    return tmp_path


@pytest.fixture
def opened(monkeypatch):
    """Names of the files in the order in which they are opened."""
    names = []
    real = shard_folder.open_complete

    def noted(path, *others):
        names.append(path.name)
        return real(path, *others)

    monkeypatch.setattr(shard_folder, "open_complete", noted)
    return names


def test_each_shard_is_opened_once_at_the_start(folder, opened):
    shards = ShardFolder(folder, None, KIND)
    assert opened == shards.names
    assert len(opened) == SHARDS


def test_few_are_open_the_latest(folder, opened):
    shards = ShardFolder(folder, None, KIND)
    opened.clear()
    shards.open("shard-004.h5")  # of the last sixteen
    assert opened == []
    shards.open("shard-000.h5")
    shards.open("shard-005.h5")  # was the oldest, and had to go
    assert opened == ["shard-000.h5", "shard-005.h5"]
    assert len(shards._files) == OPEN_FILES


def test_data_sets_are_kept_as_long_as_their_file(folder):
    shards = ShardFolder(folder, None, KIND)
    kept = shards.data("shard-000.h5", "values")
    assert shards.data("shard-000.h5", "values") is kept
    for name in shards.names[1:]:
        assert shards.data(name, "values").shape == (3,)
    assert not kept  # closed with its file
    assert shards.data("shard-000.h5", "values")[:].tolist() == [0, 0, 0]
    assert len(shards._data) == OPEN_FILES
    with pytest.raises(KeyError, match="nothing"):
        shards.data("shard-000.h5", "nothing")


def test_only_named_files_are_opened(folder, opened):
    (folder / "shard-900.h5").write_text("of an older run")
    shards = ShardFolder(folder, ["shard-003.h5", "shard-001.h5"], KIND)
    assert opened == shards.names == ["shard-001.h5", "shard-003.h5"]
    assert shards.video_ids == ["a01", "a03", "b01", "b03"]


def test_find(folder):
    name, row = ShardFolder(folder, None, KIND).find("b07")
    assert (name, row["first"], row["count"]) == ("shard-007.h5", 2, 1)


def test_shared_attributes(folder):
    assert ShardFolder(folder, None, KIND).attributes == {
        "format": "test_things",
        "version": 3,
        "complete": True,
    }


def test_a_video_that_is_not_there(folder):
    with pytest.raises(
        ValueError,
        match=r"no things of video 'zz' in .*, which has 40 videos; make them again,"
        r" or list the video in data\.exclude",
    ):
        ShardFolder(folder, None, KIND).find("zz")


@pytest.mark.parametrize(
    ("videos", "values"),
    [
        ([("a", 0, 2), ("b", 3, 1)], None),  # a gap
        ([("a", 0, 2), ("b", 1, 1)], None),  # an overlap
        ([("a", 0, 2), ("b", 2, 1)], 4),  # rows of nobody
        ([("a", 0, 2), ("b", 2, 1)], 2),  # rows that are not there
        ([("a", 0, 0), ("b", 0, 3)], None),  # a video without rows
    ],
)
def test_an_index_that_does_not_fit_its_rows(tmp_path, videos, values):
    write(tmp_path / "shard-000.h5", videos, values)
    with pytest.raises(
        ValueError, match=r"damaged \(its index does not fit the \d rows"
    ):
        ShardFolder(tmp_path, None, KIND)


@pytest.mark.parametrize("lost", ["index", "values"])
def test_a_missing_data_set(tmp_path, lost):
    path = tmp_path / "shard-000.h5"
    write(path, [("a", 0, 2)])
    with h5py.File(path, "a") as file:
        del file[lost]
    with pytest.raises(ValueError, match=r"shard-000.h5 is damaged .*make them again"):
        ShardFolder(tmp_path, None, KIND)


def test_a_shard_without_videos(tmp_path):
    write(tmp_path / "shard-000.h5", [])
    assert ShardFolder(tmp_path, None, KIND).video_ids == []
