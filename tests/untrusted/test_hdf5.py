"""HDF5 files of strangers: nothing that lies elsewhere, nothing of any size."""

import shutil

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet.data.feature_store import FeatureStore, VideoFeatures, write_features
from ssdet.data.frame_label_file import FrameLabels, write_frame_labels
from ssdet.data.frame_shard import PackedVideo, write_frames
from ssdet.data.frame_store import FrameStore
from ssdet.data.grids import Sampling
from ssdet.data.predictions import Predictions, write_predictions

ROWS, NAMES = 5, ("a", "b")


def predictions(path):
    grid = Sampling(np.arange(ROWS + 1.0), np.full(ROWS, 0.5, np.float32))
    logits, times_s = np.ones((ROWS, 2), np.float32), np.arange(ROWS) * 1.0
    write_predictions(
        path,
        [(name, logits, times_s, grid) for name in NAMES],
        model="m",
        dataset="d",
        classes=("run", "jump"),
        checkpoint_sha256="00",
        provenance=dict,
    )


def features(path):
    maps, logits = np.ones((ROWS, 2, 1, 1)), np.ones((ROWS, 2))
    videos = [VideoFeatures(name, {"conv5": maps}, logits, 50, 2.0) for name in NAMES]
    write_features(path, videos, 2 * ROWS, {"stride": 10}, "float16", None, dict)


def frames(path):
    import torch
    from torchvision.io import encode_jpeg

    jpeg = bytes(encode_jpeg(torch.zeros(3, 8, 8, dtype=torch.uint8)).tolist())
    file = path.with_name("jpegs")
    file.write_bytes(jpeg * ROWS)
    offsets = np.arange(ROWS) * len(jpeg)
    lengths = np.full(ROWS, len(jpeg), np.int32)
    videos = [
        PackedVideo(name, file, offsets, lengths, 10.0, 0.5, 8, 8) for name in NAMES
    ]
    write_frames(path, videos, {"fps": "native"}, dict)


def frame_labels(path):
    write_frame_labels(
        path,
        {name: (np.eye(2, dtype=np.uint8)[[0] * ROWS], 0.5) for name in NAMES},
        dataset="d",
        classes=("run", "jump"),
        checkpoint_sha256="00",
        provenance={},
    )


def read_predictions(path):
    with Predictions(path) as found:
        for name in found.video_ids:
            found[name], found.sampling(name)


def read_features(path):
    store = FeatureStore(path.parent, [path.name])
    for name in store.video_ids:
        store.read(name, 0, store.info(name).length, ["conv5"]), store.logits(name)


def read_frames(path):
    store = FrameStore(path.parent, [path.name])
    for name in store.video_ids:
        store.read(name, range(store.info(name).frames))


def read_frame_labels(path):
    labels = FrameLabels(path)
    for name in labels.video_ids:
        labels.at(name, [0.0, 1.0])


KINDS = {
    "frame_labels": (frame_labels, read_frame_labels, ("labels",)),
    "predictions": (predictions, read_predictions, ("logits", "times_s")),
    "features": (features, read_features, ("conv5", "logits")),
    "frames": (frames, read_frames, ("jpeg", "offsets", "lengths")),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Good files of each kind."""
    folder = tmp_path_factory.mktemp("good")
    for kind, (write, read, _) in KINDS.items():
        write(folder / f"{kind}.h5")
        read(folder / f"{kind}.h5")
    return folder


@pytest.fixture(params=KINDS)
def case(request, written, tmp_path):
    """A file of a kind to be changed, its reader, and its data sets."""
    path = tmp_path / "strange.h5"
    shutil.copy(written / f"{request.param}.h5", path)
    return path, KINDS[request.param][1], (*KINDS[request.param][2], "index")


def replaced(path, name, make):
    """Put something else in the place of a data set; its old content is given."""
    with h5py.File(path, "a") as file:
        data = file[name][:]
        del file[name]
        make(file, name, data)


def elsewhere(file, name, data):
    with h5py.File("other.h5", "w") as other:
        other[name] = data
    file[name] = h5py.ExternalLink("other.h5", name)


def soft(file, name, data):
    file["there"] = data
    file[name] = h5py.SoftLink("/there")


def virtual(file, name, data):
    with h5py.File("other.h5", "w") as other:
        other[name] = data
    layout = h5py.VirtualLayout(data.shape, data.dtype)
    layout[:] = h5py.VirtualSource("other.h5", name, data.shape)
    file.create_virtual_dataset(name, layout)


def raw(file, name, data):
    with open("secret", "wb") as secret:
        secret.write(data.tobytes())
    place = [("secret", 0, data.nbytes)]
    file.create_dataset(name, data.shape, data.dtype, external=place)


def huge(file, name, data):
    shape = (10**13, *data.shape[1:])
    chunks = (1, *data.shape[1:])
    file.create_dataset(name, shape, data.dtype, chunks=chunks, compression="gzip")


def objects(file, name, data):
    kind = h5py.string_dtype()
    file.create_dataset(name, data=np.full(data.shape, "x", object), dtype=kind)


def references(file, name, data):
    file.create_dataset(name, data.shape, h5py.ref_dtype)


def group(file, name, data):
    file.create_group(name)[name] = data


def nothing(file, name, data):
    file[name] = h5py.Empty(data.dtype)


def texts(file, name, data):
    file[name] = np.full(data.shape, b"x")


CHANGES = {
    elsewhere: "is a link, maybe to another file",
    soft: "is a link",
    virtual: "lie in another file",
    raw: "lie in another file",
    huge: r"declares \d+ bytes and holds 0",
    objects: "holds object, not numbers",
    references: "holds object, not numbers",
    nothing: "is no array",
    group: "",
    texts: "",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_is_not_plainly_there_is_refused(case, change, monkeypatch):
    path, read, names = case
    monkeypatch.chdir(path.parent)
    for name in names:
        changed = shutil.copy(path, path.with_name(f"strange-{name}.h5"))
        replaced(changed, name, change)
        with pytest.raises(ValueError, match=CHANGES[change]) as caught:
            read(changed)
        assert str(changed) in str(caught.value)


def test_odd_attributes_are_refused(case):
    path, read, _ = case
    good = path.read_bytes()
    for value in (np.arange(3), h5py.Empty("f4"), "[" * 100_000, b"\xff", 1e300):
        for name in ("provenance", "classes", "format", "complete", "version"):
            with h5py.File(path, "a") as file:
                file.attrs[name] = value
            try:
                read(path)  # what is not read of a kind may be anything
            except ValueError as error:
                assert str(path) in str(error)
            path.write_bytes(good)


@pytest.mark.parametrize("value", [-1, 0, 3, 2**31 - 1])
def test_an_index_of_impossible_numbers(case, value):
    path, read, _ = case
    with h5py.File(path) as file:
        columns = set(file["index"].dtype.names[1:]) - {"crc32"}
    good = path.read_bytes()
    for column in columns:
        with h5py.File(path, "a") as file:
            index = file["index"][:]
            index[column][1] = value
            file["index"][:] = index
            file["index"].attrs.pop("crc32", None)  # a stranger's fits
        try:
            read(path)  # other seconds are possible
        except ValueError as error:
            assert str(path.parent) in str(error)
        else:
            assert value > 0 or column == "offset"
        path.write_bytes(good)


def test_frames_of_any_size_are_refused(written, tmp_path):
    path = tmp_path / "strange.h5"
    shutil.copy(written / "frames.h5", path)
    with h5py.File(path, "a") as file:
        index = file["index"][:]
        index["height"], index["width"] = 2**15, 2**15
        file["index"][:] = index
        file["index"].attrs.pop("crc32", None)
    with pytest.raises(ValueError, match="32768 x 32768 pixels, no frame has so many"):
        read_frames(path)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes(written, tmp_path, kind):
    """Any bytes in the place of any: read, or refused by name."""
    good = (written / f"{kind}.h5").read_bytes()
    path = tmp_path / "strange.h5"
    read = KINDS[kind][1]

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, len(good) - 1), st.binary(min_size=1, max_size=9)),
            min_size=1,
            max_size=4,
        ),
        st.integers(0, len(good)) | st.none(),
    )
    def check(changes, end):
        data = bytearray(good)
        for place, some in changes:
            data[place : place + len(some)] = some
        path.write_bytes(data[:end])
        try:
            read(path)
        except ValueError as error:
            assert str(path.parent) in str(error)

    check()
