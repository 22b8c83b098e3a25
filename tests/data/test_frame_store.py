"""Reading packed frames: which, from where, in which process, and what is refused."""

import io
import multiprocessing
import pickle

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from ssdet.data import coded_frames
from ssdet.data.frame_shard import write_frames
from ssdet.data.frame_store import FrameInfo, FrameStore
from ssdet.data.jpeg import decode_jpegs
from tests.data.packed import pack, write


@pytest.fixture(params=["jpeg", "video"])
def storage(request):
    return request.param


@pytest.fixture
def folder(tmp_path, storage):
    """Two shards: a and b, and the longer c."""
    folder = tmp_path / "frames"

    def packed(*video):
        return pack(tmp_path / "parts", *video, storage=storage)

    videos = [packed("a", [10, 20, 30]), packed("b", [110, 120], (8, 8))]
    write(folder / "shard-000.h5", videos, storage, shard=0)
    write(
        folder / "shard-002.h5",
        [packed("cä", [4 * i for i in range(60)])],
        storage,
        shard=2,
    )
    return folder


@pytest.fixture
def store(folder):
    return FrameStore(folder)


def levels(frames):
    return frames.double().mean(dim=(0, 2, 3)).round().int().tolist()


def test_index(store):
    assert store.video_ids == ["a", "b", "cä"]
    assert store.info("a") == FrameInfo(3, 10.0, 0.3, 16, 24)
    assert store.info("b") == FrameInfo(2, 10.0, 0.2, 8, 8)
    assert [path.name for path in store.paths] == ["shard-000.h5", "shard-002.h5"]
    assert store.attributes["dataset"] == "mine"


@pytest.mark.parametrize(
    "indices",
    [[0], [59, 0, 30], [5, 5, 5], range(60), torch.tensor([3, 1]), np.array([2])],
)
def test_frames_in_the_order_asked_for(store, indices):
    frames = store.read("cä", indices)
    assert frames.dtype == torch.uint8
    assert frames.shape == (3, len(indices), 16, 24)
    assert levels(frames) == [4 * int(i) for i in indices]


def test_no_frames(store):
    assert store.read("b", []).shape == (3, 0, 8, 8)


def test_colours_are_red_green_blue(tmp_path):
    video = pack(tmp_path, "a", [0])
    image = np.zeros((16, 24, 3), np.uint8)
    image[..., 0], image[..., 2] = 200, 50
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95)
    video.file.write_bytes(buffer.getvalue())
    video.lengths[0] = buffer.tell()
    write(tmp_path / "frames/shard-000.h5", [video])
    frame = FrameStore(tmp_path / "frames").read("a", [0])[:, 0]
    assert frame.double().mean(dim=(1, 2)).tolist() == pytest.approx(
        [200, 0, 50], abs=3
    )


def test_same_pixels_as_pillow(tmp_path):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (33, 47, 3), np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    video = pack(tmp_path, "a", [0], (33, 47))
    video.file.write_bytes(buffer.getvalue())
    video.lengths[0] = buffer.tell()
    write(tmp_path / "frames/shard-000.h5", [video])
    frame = FrameStore(tmp_path / "frames").read("a", [0])[:, 0].permute(1, 2, 0)
    assert np.array_equal(frame.numpy(), np.asarray(Image.open(buffer)))


def test_frames_that_show_the_same(tmp_path, storage):
    greys = [10, 10, 10, 50, 90, 90, 130, 170, 210, 210]
    video = pack(tmp_path / "parts", "a", greys, storage=storage)
    write(tmp_path / "frames/shard-000.h5", [video], storage)
    store = FrameStore(tmp_path / "frames")
    assert levels(store.read("a", range(10))) == greys
    for index, grey in enumerate(greys):
        assert levels(store.read("a", [index])) == [grey]


@pytest.mark.parametrize("storage", ["jpeg"], indirect=True)
def test_repeated_frames_are_decoded_once(store, monkeypatch):
    decoded = []

    def counted(files, *others):
        decoded.append(len(files))
        return decode_jpegs(files, *others)

    monkeypatch.setattr(coded_frames, "decode_jpegs", counted)
    assert levels(store.read("cä", [7, 3, 7, 7, 3])) == [28, 12, 28, 28, 12]
    assert decoded == [2]


def test_part_of_the_frames(tmp_path):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (33, 47, 3), np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    video = pack(tmp_path, "a", [0], (33, 47))
    video.file.write_bytes(buffer.getvalue())
    video.lengths[0] = buffer.tell()
    write(tmp_path / "frames/shard-000.h5", [video])
    store = FrameStore(tmp_path / "frames")
    whole = store.read("a", [0, 0])
    part = store.read("a", [0, 0], part=(slice(3, 30), slice(40, 47)))
    assert part.equal(whole[:, :, 3:30, 40:])
    assert part.permute(1, 2, 3, 0).is_contiguous()  # no pixel was moved


@pytest.mark.parametrize(
    ("indices", "named"), [([3], "3"), ([-1, 0], "-1"), ([0, 9, 4, 9], "4, 9")]
)
def test_frames_that_are_not_there(store, indices, named):
    with pytest.raises(
        ValueError, match=f"video a has frames 0 to 2, asked for {named}$"
    ):
        store.read("a", indices)


def test_videos_that_are_not_there(store):
    for call in (store.info, lambda name: store.read(name, [0])):
        with pytest.raises(
            ValueError,
            match=r"no frames of video 'zzz' in .*frames, which has 3 videos",
        ):
            call("zzz")


# -------------------------------------------------------------------------- processes


class Levels(Dataset):
    def __init__(self, store):
        self.store = store

    def __len__(self):
        return 60

    def __getitem__(self, index):
        return self.store.read("cä", [index])


def test_workers_of_a_loader(store):
    store.read("cä", [0])  # the file is open before workers start
    loader = DataLoader(
        Levels(store), batch_size=20, num_workers=2, multiprocessing_context="fork"
    )
    assert [levels(b) for batch in loader for b in batch] == [
        [4 * i] for i in range(60)
    ]
    assert levels(store.read("cä", [1])) == [4]


def test_a_forked_process_opens_its_own_files(store):
    store.read("a", [0])
    mine = store._shards.open("shard-000.h5")
    receive, send = multiprocessing.Pipe(duplex=False)

    def child():
        frames = store.read("a", [1])
        send.send((store._shards.open("shard-000.h5") is mine, levels(frames)))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    assert receive.recv() == (False, [20])
    assert store._shards.open("shard-000.h5") is mine
    assert levels(store.read("a", [2])) == [30]


def test_pickle(store):
    store.read("a", [0])
    copy = pickle.loads(pickle.dumps(store))
    assert levels(copy.read("a", [2])) == [30]
    assert copy.video_ids == store.video_ids


def test_few_files_are_open(tmp_path):
    names = [f"v{i:02d}" for i in range(40)]
    for shard, name in enumerate(names):
        video = pack(tmp_path / "parts", name, [shard])
        write(tmp_path / f"frames/shard-{shard:03d}.h5", [video], shard=shard)
    store = FrameStore(tmp_path / "frames")
    for shard in (*range(40), 0):
        assert levels(store.read(names[shard], [0])) == [shard]
    assert len(store._shards._files) == 16


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_decoding_on_the_gpu(store):
    device = torch.device("cuda")
    frames = store.read("cä", [9, 3, 9], device)
    assert frames.device.type == "cuda"
    assert frames.shape == (3, 3, 16, 24)
    assert levels(frames) == pytest.approx([36, 12, 36], abs=1)


# ----------------------------------------------------------------------------- refused


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"no shard-\*.h5 in .*; run extract_frames"):
        FrameStore(tmp_path)


@pytest.mark.parametrize("length", [0, 100, -1])
def test_a_truncated_shard(folder, length):
    path = folder / "shard-002.h5"
    data = path.read_bytes()
    path.write_bytes(data[:length])
    with pytest.raises(
        ValueError,
        match=r"shard-002.h5 is cut off or no HDF5 file .*; run extract_frames again",
    ):
        FrameStore(folder)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("complete", False, "shard-002.h5 is incomplete; run extract_frames again"),
        ("complete", None, "shard-002.h5 is incomplete"),
        ("format", "other", "has format 'other', expected 'ssdet_frames'"),
        ("format", None, "has format None, expected 'ssdet_frames'"),
        ("version", 2, "has version 2 of ssdet_frames, this program reads version 1"),
        ("dataset", "old", "shard-002.h5 has dataset old, shard-000.h5 has mine: they"),
    ],
)
def test_foreign_shards(folder, name, value, message):
    with h5py.File(folder / "shard-002.h5", "a") as file:
        if value is None:
            del file.attrs[name]
        else:
            file.attrs[name] = value
    with pytest.raises(ValueError, match=message):
        FrameStore(folder)


def test_a_video_in_two_shards(folder, tmp_path, storage):
    again = pack(tmp_path / "parts", "a", [1], storage=storage)
    write(folder / "shard-001.h5", [again], storage)
    with pytest.raises(
        ValueError, match=r"shard-000.h5 and shard-001.h5 both hold video a; remove"
    ):
        FrameStore(folder)


def test_a_shard_that_vanished(store):
    store.paths[1].unlink()
    fresh = pickle.loads(pickle.dumps(store))
    with pytest.raises(ValueError, match=r"no file .*shard-002.h5; run extract_frames"):
        fresh.read("cä", [0])


def test_damaged_bytes(folder, storage):
    with h5py.File(folder / "shard-000.h5", "a") as file:
        file["jpeg" if storage == "jpeg" else "packets"][:50] = 0
    with pytest.raises(
        ValueError,
        match=r"shard-000.h5: a frame of video a cannot be decoded",
    ):
        FrameStore(folder).read("a", [0])


@pytest.mark.parametrize("storage", ["video"], indirect=True)
@pytest.mark.parametrize("name", ["packets", "checksums", "offsets", "lengths"])
def test_any_flipped_bit_of_a_video_is_noticed(folder, name):
    path = folder / "shard-002.h5"
    rng = np.random.default_rng(0)
    for _ in range(20):
        with h5py.File(path, "a") as file:
            values = file[name][:]
            raw = values.view(np.uint8)
            # low bytes of the numbers of a frame that is read, any byte of packets
            at = rng.integers(len(raw)) if name == "packets" else values.itemsize * 3
            raw[at] ^= 1 << rng.integers(8)
            original = file[name][:]
            file[name][:] = values
        with pytest.raises(ValueError, match=r"shard-002.h5.*run extract_frames again"):
            FrameStore(folder).read("cä", range(60))
        with h5py.File(path, "a") as file:
            file[name][:] = original
    FrameStore(folder).read("cä", range(60))


def test_two_storages_in_a_folder(folder, tmp_path, storage):
    other = {"jpeg": "video", "video": "jpeg"}[storage]
    video = pack(tmp_path / "parts", "z", [1], storage=other)
    write(folder / "shard-003.h5", [video], other, shard=3)
    with pytest.raises(ValueError, match=r"shard-003.h5 has crf .* not made together"):
        FrameStore(folder)


def test_nothing_is_left_of_a_failed_write(tmp_path):
    video = pack(tmp_path / "parts", "a", [1])
    target = tmp_path / "frames/shard-000.h5"

    def fail():
        raise RuntimeError("no provenance")

    with pytest.raises(RuntimeError, match="no provenance"):
        write_frames(target, [video], {}, fail)
    assert list(target.parent.iterdir()) == []
