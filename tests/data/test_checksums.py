"""A bit that turned in stored data is noticed; files without checksums are read."""

import zlib

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssdet.data.checksums import (
    NAME,
    crc32,
    crc32_of_bytes,
    crc32_of_rows,
    seal,
    sealed,
)
from ssdet.data.feature_store import FeatureStore
from ssdet.data.frame_store import FrameStore
from ssdet.data.predictions import Predictions
from tests.data import packed as frames
from tests.data import test_feature_store as features
from tests.data import test_grids as grids


def test_the_check_value_of_the_algorithm():
    """That of the catalogue of CRCs: 0xCBF43926 for the nine digits."""
    digits = np.frombuffer(b"123456789", np.uint8)
    assert crc32(digits) == crc32(digits[:4], digits[4:]) == 0xCBF43926
    assert crc32() == crc32(np.zeros((0, 3))) == 0


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_zlib_gives_the_same(data, before):
    """Whichever library computes: files are read where the other is installed."""
    assert crc32_of_bytes(data, before) == zlib.crc32(data, before)


def test_rows_have_a_sum_each():
    rows = np.arange(12, dtype=np.float16).reshape(3, 2, 2)
    assert crc32_of_rows(rows).tolist() == [crc32(row) for row in rows]
    assert crc32_of_rows(rows.swapaxes(1, 2)).tolist() != crc32_of_rows(rows).tolist()
    assert crc32_of_rows(rows[:0]).shape == (0,)


def test_a_sealed_data_set(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("x", data=np.arange(5))
        assert sealed(data).tolist() == [0, 1, 2, 3, 4]  # without a seal it is believed
        seal(data)
        assert sealed(data).tolist() == [0, 1, 2, 3, 4]
        data[2] = 3
        with pytest.raises(OSError, match="the checksum of /x does not fit"):
            sealed(data)


def feature_shard(folder):
    path = folder / "shard-000.h5"
    features.write(path, ["a", "bä"])

    def read():
        store = FeatureStore(folder)
        found = [store.logits(name) for name in store.video_ids]
        for name in store.video_ids:
            end = store.info(name).length
            found += store.read(name, 0, end, ["layer1", "conv5"]).values()
        return store.video_ids, [x.tolist() for x in found]

    return path, read


def frame_shard(folder):
    path = folder / "shard-000.h5"
    parts = folder / "parts"
    videos = [frames.pack(parts, "a", [10, 20]), frames.pack(parts, "b", [110], (8, 8))]
    frames.write(path, videos, shard=0)

    def read():
        store = FrameStore(folder)
        frames = {v: range(store.info(v).frames) for v in store.video_ids}
        return {v: store.read(v, wanted).tolist() for v, wanted in frames.items()}

    return path, read


def predictions(folder):
    path = folder / "p.h5"
    grid = grids.sampling([0, 0.5, 3], [0.25, 1])
    grids.write(path, [grids.video("a", grid), grids.video("b")])

    def read():
        with Predictions(path) as found:
            rows = {v: [x.tolist() for x in found[v]] for v in found.video_ids}
            return rows, found.sampling("a").times_s.tolist()

    return path, read


def stored(path):
    """(first byte, bytes that hold values) of each data set."""
    places = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            data = item.id
            if data.get_offset() is not None:
                places[name] = data.get_offset(), item.nbytes
            else:
                chunk = data.get_chunk_info(0)
                places[name] = chunk.byte_offset, item.nbytes

    with h5py.File(path, locking=False) as file:
        file.visititems(visit)
    return places


@pytest.mark.parametrize("make", [feature_shard, frame_shard, predictions])
def test_every_flipped_bit_is_noticed_or_of_no_use(tmp_path, make):
    """Of no use: a length that leads beyond the end of the file, and such."""
    path, read = make(tmp_path)
    expected = read()
    good, places = path.read_bytes(), stored(path)
    assert len(places) >= 5
    refused = tries = 0
    for first, size in places.values():
        for position in range(first, first + size, max(1, size // 30)):
            damaged = bytearray(good)
            damaged[position] ^= 1 << position % 8
            path.write_bytes(damaged)
            tries += 1
            try:
                assert read() == expected
            except ValueError as error:
                assert path.name in str(error) and " again" in str(error)
                refused += 1
    assert refused > 0.95 * tries


@pytest.mark.parametrize("make", [feature_shard, frame_shard, predictions])
def test_files_without_checksums_are_read(tmp_path, make):
    """As they were written before there were any."""
    path, read = make(tmp_path)
    with h5py.File(path, "a", locking=False) as file:
        index = file["index"][:]
        for name in {NAME, "checksums"} & set(file):
            del file[name]
        if NAME in (index.dtype.names or ()):
            kept = [name for name in index.dtype.names if name != NAME]
            del file["index"]
            file["index"] = np.array(
                [tuple(row) for row in index[kept]],
                [(name, index.dtype[name]) for name in kept],
            )
        for item in [file["index"], *file.get("grid", {}).values()]:
            item.attrs.pop(NAME, None)
    read()
