"""Cached features: what is written is read back, a window at a time."""

import gc
import multiprocessing
import pickle
import tracemalloc
import weakref

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from ssdet.data.feature_store import (
    FeatureInfo,
    FeatureStore,
    VideoFeatures,
    write_features,
)
from ssdet.data.hdf5 import get_attributes

LENGTHS = {"a": 5, "bä": 3, "c": 40}
CHANNELS = {"layer1": 2, "conv5": 3}
CLASSES = ["run", "sit"]
ATTRIBUTES = {
    "stride": 10,
    "classes": CLASSES,
    "checkpoint_sha256": "12ab",
    "fps": 24.0,
}


def maps_of(video_id):
    """Exact in half precision: value = row + channel / 4 + column / 32."""
    length = LENGTHS[video_id]
    row = np.arange(length)[:, None, None, None]
    column = np.arange(7)[None, None, None]
    return {
        key: np.broadcast_to(
            row + np.arange(channels)[None, :, None, None] / 4 + column / 32,
            (length, channels, 7, 7),
        ).astype(np.float32)
        for key, channels in CHANNELS.items()
    }


def logits_of(video_id):
    return np.arange(LENGTHS[video_id] * 2, dtype=np.float32).reshape(-1, 2) / 3


def video(video_id):
    length = LENGTHS[video_id]
    maps, logits = maps_of(video_id), logits_of(video_id)
    return VideoFeatures(video_id, maps, logits, 10 * length + 3, length * 0.42)


def write(path, ids, dtype="float16", compression=None, total=None, **attributes):
    rows = sum(LENGTHS[name] for name in ids) if total is None else total
    write_features(
        path,
        map(video, ids),
        rows,
        {**ATTRIBUTES, **attributes},
        dtype,
        compression,
        lambda: {"stage": "extract_features"},
    )


@pytest.fixture
def folder(tmp_path):
    """Two shards of one split; those between hold videos of the other."""
    write(tmp_path / "shard-000.h5", ["a", "bä"], shard=0)
    write(tmp_path / "shard-003.h5", ["c"], shard=3)
    return tmp_path


@pytest.mark.parametrize("compression", [None, "lzf", "gzip"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_round_trip(tmp_path, dtype, compression):
    write(tmp_path / "shard-000.h5", LENGTHS, dtype, compression)
    store = FeatureStore(tmp_path)
    assert store.video_ids == list(LENGTHS)
    for name, length in LENGTHS.items():
        assert store.info(name) == FeatureInfo(length, 10 * length + 3, length * 0.42)
        assert torch.equal(store.logits(name), torch.from_numpy(logits_of(name)))
        found = store.read(name, 0, length, tuple(CHANNELS))
        for key, expected in maps_of(name).items():
            assert found[key].dtype == getattr(torch, dtype)
            assert found[key].shape == (CHANNELS[key], length, 7, 7)
            assert np.array_equal(found[key].transpose(0, 1).numpy(), expected)


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (4, 36), (39, 40), (7, 7), (0, 40)]
)
def test_windows(folder, start, stop):
    found = FeatureStore(folder).read("c", start, stop, ["conv5"])
    assert list(found) == ["conv5"]
    assert found["conv5"].shape == (3, stop - start, 7, 7)
    assert found["conv5"][0, :, 0, 0].tolist() == list(range(start, stop))
    assert found["conv5"][2, :, 0, 1].tolist() == [
        row + 0.5 + 1 / 32 for row in range(start, stop)
    ]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edges=st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted))
@pytest.mark.parametrize("compression", [None, "lzf"])
def test_any_window(tmp_path, compression, edges):
    path = tmp_path / "shard-000.h5"
    if not path.exists():
        write(path, LENGTHS, compression=compression)
    start, stop = edges
    found = FeatureStore(tmp_path).read("c", start, stop, list(CHANNELS))
    for key, maps in maps_of("c").items():
        assert np.array_equal(found[key].transpose(0, 1).numpy(), maps[start:stop])


def test_a_window_costs_a_window(tmp_path):
    """Of a file of 40 MB nothing else is read into memory."""
    rows = 4000
    maps = {"conv5": np.zeros((rows, 100, 7, 7), np.float16)}
    entry = VideoFeatures("a", maps, np.zeros((rows, 2)), 10 * rows, 1.0)
    path = tmp_path / "shard-000.h5"
    write_features(path, [entry], rows, ATTRIBUTES, "float16", None, dict)
    del maps, entry
    store = FeatureStore(tmp_path)
    window = 16 * 100 * 7 * 7 * 2  # bytes
    tracemalloc.start()
    found = store.read("a", 2000, 2016, ["conv5"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["conv5"].shape == (100, 16, 7, 7)
    assert window <= peak < 2 * window < path.stat().st_size / 100


def test_one_video_is_in_memory_while_writing(tmp_path):
    """Each video is gone before the next one is asked for."""
    alive = []

    def videos():
        for name in LENGTHS:
            gc.collect()
            assert [maps() for maps in alive] == [None] * len(alive)
            item = video(name)
            alive.extend(weakref.ref(maps) for maps in item.maps.values())
            yield item
            del item

    rows = sum(LENGTHS.values())
    path = tmp_path / "shard-000.h5"
    write_features(path, videos(), rows, ATTRIBUTES, "float16", None, dict)
    assert len(alive) == len(LENGTHS) * len(CHANNELS)


def test_file(folder):
    """The layout of the specification, contiguous."""
    with h5py.File(folder / "shard-000.h5") as file:
        assert set(file) == {"layer1", "conv5", "logits", "index", "crc32"}
        assert file["layer1"].shape == (8, 2, 7, 7)
        assert file["layer1"].dtype == np.float16
        assert get_attributes(file["layer1"]) == {"layout": "TCHW"}
        assert file["logits"].dtype == np.float32
        assert all(file[key].chunks is None for key in file)
        assert file["index"]["offset"].tolist() == [0, 5]
        attributes = get_attributes(file)
    assert attributes["format"] == "coarse_fine_features"
    assert (attributes["version"], attributes["complete"]) == (1, True)
    assert (attributes["axes"], attributes["dtype"]) == ("TCHW", "float16")
    assert attributes["classes"] == CLASSES
    assert attributes["provenance"] == {"stage": "extract_features"}


def test_compressed_file(tmp_path):
    write(tmp_path / "shard-000.h5", ["c"], compression="gzip")
    with h5py.File(tmp_path / "shard-000.h5") as file:
        assert file["conv5"].chunks == (32, 3, 7, 7)
        assert (file["conv5"].compression, file["conv5"].shuffle) == ("gzip", False)


def test_tensors_are_written_too(tmp_path):
    values = torch.arange(98.0).view(2, 1, 7, 7).bfloat16().requires_grad_()
    entry = ("a", {"conv5": values}, torch.zeros(2, 2), 20, 1.0)
    write_features(tmp_path / "shard-000.h5", [entry], 2, {}, "float16", None, dict)
    found = FeatureStore(tmp_path).read("a", 0, 2, ["conv5"])["conv5"]
    assert torch.equal(found, values.detach().half().transpose(0, 1))


def test_a_shard_without_videos(folder):
    write_features(folder / "shard-001.h5", [], 0, ATTRIBUTES, "float16", None, dict)
    assert FeatureStore(folder).video_ids == list(LENGTHS)


def test_attributes_and_paths(folder):
    store = FeatureStore(folder)
    assert store.attributes["classes"] == CLASSES
    assert store.attributes["stride"] == 10
    assert [path.name for path in store.paths] == ["shard-000.h5", "shard-003.h5"]


def test_forked_and_pickled(folder):
    store = FeatureStore(folder)
    store.read("c", 0, 1, ["conv5"])
    receive, send = multiprocessing.Pipe(duplex=False)

    def child():
        send.send(store.read("c", 5, 6, ["conv5"])["conv5"][0, 0, 0, 0].item())

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    assert receive.recv() == 5
    copy = pickle.loads(pickle.dumps(store))
    assert copy.read("c", 6, 7, ["conv5"])["conv5"][0, 0, 0, 0] == 6


class Windows(Dataset):
    """Three rows of c, from each of its rows."""

    def __init__(self, store):
        self.store = store

    def __len__(self):
        return LENGTHS["c"] - 2

    def __getitem__(self, start):
        return self.store.read("c", start, start + 3, ["conv5"])["conv5"][0, :, 0, 0]


def test_workers_of_a_loader(folder):
    store = FeatureStore(folder)
    store.read("c", 0, 1, ["conv5"])  # the file is open before workers start
    loader = DataLoader(
        Windows(store), batch_size=5, num_workers=2, multiprocessing_context="fork"
    )
    rows = torch.cat(list(loader)).tolist()
    assert rows == [[start, start + 1, start + 2] for start in range(38)]
    assert store.read("c", 7, 8, ["conv5"])["conv5"][0, 0, 0, 0] == 7


def test_two_writers_of_a_shard_leave_one_whole_file(tmp_path):
    """The later one takes what the earlier one left for dead; that one is told."""
    path = tmp_path / "shard-000.h5"

    def videos():
        yield video("a")
        write(path, ["bä"], shard=1)
        yield video("c")

    with pytest.raises(OSError, match=r"cannot write .*shard-000.h5"):
        write_features(path, videos(), 45, ATTRIBUTES, "float16", None, dict)
    assert FeatureStore(tmp_path).video_ids == ["bä"]
    assert list(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------------------ requirements


def test_what_agrees_passes(folder):
    store = FeatureStore(folder)
    store.require(stride=10, classes=tuple(CLASSES), checkpoint_sha256="12ab")


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (
            {"stride": 8},
            "has stride 10, sampling.stride is 8; extract the features again",
        ),
        (
            {"checkpoint_sha256": "34cd"},
            "has checkpoint_sha256 12ab, the checkpoint's sha256 is 34cd",
        ),
        ({"classes": ["run"]}, "has 2 classes, the class list has 1"),
        (
            {"classes": ["run", "sat"]},
            r"has classes\[1\] 'sit', the class list has 'sat'",
        ),
        ({"crop": 224}, "has no crop, spatial.crop is 224"),
        (
            {"stride": 8, "dtype": "float32"},
            "sampling.stride is 8; dtype float16, features.dtype is float32",
        ),
    ],
)
def test_what_differs_is_refused_with_both_values(folder, expected, message):
    with pytest.raises(ValueError, match=message):
        FeatureStore(folder).require(**expected)


# ----------------------------------------------------------------------------- refused


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (0, 6), (3, 2), (6, 6)])
def test_rows_that_are_not_there(folder, start, stop):
    with pytest.raises(ValueError, match="video a has feature rows 0 to 4, asked for"):
        FeatureStore(folder).read("a", start, stop, ["conv5"])


def test_names_that_are_not_there(folder):
    store = FeatureStore(folder)
    for call in (store.info, store.logits, lambda name: store.read(name, 0, 1, [])):
        with pytest.raises(
            ValueError, match=r"no features of video 'z' in .* 3 videos"
        ):
            call("z")
    with pytest.raises(
        ValueError, match=r"has no layer9 but conv5, layer1; extract the"
    ):
        store.read("a", 0, 1, ["layer1", "layer9"])


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"no shard-\*.h5 in .*; extract the features"):
        FeatureStore(tmp_path)


@pytest.mark.parametrize("length", [0, 1000, -1])
def test_a_truncated_shard(folder, length):
    path = folder / "shard-003.h5"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"shard-003.h5 is cut off or no HDF5 file"):
        FeatureStore(folder)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("complete", None, "shard-003.h5 is incomplete; extract the features again"),
        ("format", "ssdet_frames", "format 'ssdet_frames', expected 'coarse_fine_feat"),
        ("stride", 8, "shard-003.h5 has stride 8, shard-000.h5 has 10: they were not"),
        (
            "checkpoint_sha256",
            None,
            "has checkpoint_sha256 None, shard-000.h5 has 12ab",
        ),
    ],
)
def test_foreign_shards(folder, name, value, message):
    with h5py.File(folder / "shard-003.h5", "a") as file:
        if value is None:
            del file.attrs[name]
        else:
            file.attrs[name] = value
    with pytest.raises(ValueError, match=message):
        FeatureStore(folder)


def contents(folder):
    """All that can be read of a folder."""
    store = FeatureStore(folder)
    everything = {
        name: (
            store.info(name),
            store.read(name, 0, store.info(name).length, list(CHANNELS)),
            store.logits(name),
        )
        for name in store.video_ids
    }
    return repr((store.attributes, everything))


@pytest.mark.parametrize("compression", [None, "lzf"])
def test_a_flipped_bit_of_the_headers(tmp_path, compression):
    """Every damaged byte is noticed, or was of no use."""
    path = tmp_path / "shard-000.h5"
    write(path, ["a", "bä"], compression=compression)
    with h5py.File(path) as file:
        stored = [file[key].id for key in file]
        places = [
            chunk
            for data in stored
            for chunk in (
                [(data.get_offset(), data.get_storage_size())]
                if data.get_offset() is not None
                else [
                    (chunk.byte_offset, chunk.size)
                    for chunk in map(data.get_chunk_info, range(data.get_num_chunks()))
                ]
            )
        ]
    good, expected = path.read_bytes(), contents(tmp_path)
    values = {i for begin, size in places for i in range(begin, begin + size)}
    headers = sorted(set(range(len(good))) - values)
    refused = 0
    for position in headers[::11]:
        damaged = bytearray(good)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            assert contents(tmp_path) == expected, position
        except ValueError as error:
            assert "shard-000.h5" in str(error)
            assert "extract the features again" in str(error)
            refused += 1
    assert refused > len(headers) / 100


@pytest.mark.parametrize(
    ("column", "value"), [("offset", 1), ("length", 4), ("length", 0), ("length", -5)]
)
def test_an_index_that_does_not_fit(folder, column, value):
    with h5py.File(folder / "shard-000.h5", "a") as file:
        index = file["index"][:]
        index[column][0] = value
        file["index"][:] = index
    with pytest.raises(
        ValueError,
        match=r"shard-000.h5 is damaged \(its index does not fit the 8 rows of /logits"
        r"\); extract the features again",
    ):
        FeatureStore(folder)


def test_damaged_chunks(tmp_path):
    path = tmp_path / "shard-000.h5"
    write(path, ["c"], compression="gzip")
    with h5py.File(path) as file:
        chunk = file["conv5"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(data)
    store = FeatureStore(tmp_path)
    with pytest.raises(
        ValueError, match=r"shard-000.h5 is damaged .*; extract the features again"
    ):
        store.read("c", 0, 1, ["conv5"])
    assert torch.equal(store.logits("c"), torch.from_numpy(logits_of("c")))


def test_a_file_of_another_program(folder):
    with h5py.File(folder / "shard-003.h5", "w") as file:
        file["conv5"] = np.zeros(3)
    with pytest.raises(
        ValueError, match=r"shard-003.h5 has format None, expected 'coa"
    ):
        FeatureStore(folder)
    (folder / "shard-003.h5").write_text("no HDF5")
    with pytest.raises(ValueError, match=r"shard-003.h5 is cut off or no HDF5 file"):
        FeatureStore(folder)


def test_a_video_in_two_shards(folder):
    write(folder / "shard-001.h5", ["a"])
    with pytest.raises(ValueError, match=r"both hold video a; remove what is old"):
        FeatureStore(folder)


MAPS = {"conv5": np.zeros((2, 1, 7, 7), np.float32)}
FLAT = np.zeros((2, 2), np.float32)
HUGE = {"conv5": np.full((2, 1, 7, 7), 1e5, np.float32)}
LONG = {"conv5": np.zeros((3, 1, 7, 7), np.float32)}


@pytest.mark.parametrize(
    ("videos", "total", "message"),
    [
        (
            [("a", HUGE, FLAT)],
            2,
            "conv5 of video a has values that are not finite as fl",
        ),
        ([("a", MAPS, FLAT * np.nan)], 2, "logits of video a has values that are not"),
        (
            [("a", LONG, FLAT)],
            2,
            r"conv5 of video a has shape \(3, 1, 7, 7\), expected",
        ),
        ([("a", MAPS, FLAT)], 3, "3 rows were announced, 2 came"),
        ([("a", MAPS, FLAT)], 1, "video a ends at row 2, 1 rows were announced"),
        (
            [("b", MAPS, FLAT), ("a", MAPS, FLAT)],
            4,
            "video a comes after b: videos must",
        ),
        ([("a", MAPS, FLAT), ("a", MAPS, FLAT)], 4, "video a comes after a"),
        (
            [("a", {"conv5": MAPS["conv5"][:0]}, FLAT[:0])],
            0,
            "video a has no rows; a video has at least one",
        ),
        ([("a", MAPS, FLAT), ("b", {}, FLAT)], 4, "video b has , expected conv5"),
        (
            [("a", MAPS, FLAT), ("b", MAPS, FLAT[:, :1])],
            4,
            r"logits of video b has shape \(2, 1\), expected \(2, 2\)",
        ),
    ],
)
def test_videos_that_do_not_fit_leave_no_file(tmp_path, videos, total, message):
    target = tmp_path / "shard-000.h5"
    entries = [(*entry, 20, 1.0) for entry in videos]
    with pytest.raises(ValueError, match=message):
        write_features(target, entries, total, {}, "float16", None, dict)
    assert list(tmp_path.iterdir()) == []
