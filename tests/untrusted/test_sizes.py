"""Pictures that claim to be larger than any: refused before there is memory for them.

The tests run with little memory, in which no such picture has room.
"""

import resource
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from ssdet.data import jpeg
from ssdet.data.frame_folder import FrameFolder
from ssdet.data.frame_store import FrameStore
from ssdet.data.jpeg import decode_jpegs
from ssdet.data.picture_size import jpeg_size
from ssdet.data.short_gop import GopEncoder, decode_packets
from ssdet.data.video import VideoError, probe, target_size
from tests.data.conftest import make_video
from tests.data.packed import as_jpeg, pack, write

__all__ = ["make_video"]
MEMORY = 1 << 29  # bytes that a test may take
HUGE = 65_500  # pixels of a side, the most of JPEG
START = b"\0\0\0\1"  # of a unit of H.264


@pytest.fixture
def little_memory():
    """A limit for what this process may take from now on."""
    for module in ("av", "torchvision.io"):
        pytest.importorskip(module)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def low_peak():
    """See that a test takes little memory; a decoder hides that it got none."""
    pytest.importorskip("av")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = peak()
    yield
    assert peak() - before < MEMORY / 4


def peak():
    """The most memory that this process has had, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def claiming(file, height, width):
    """A JPEG file whose header states another size."""
    place = file.index(b"\xff\xc0") + 5
    return file[:place] + struct.pack(">HH", height, width) + file[place + 4 :]


def small_jpeg():
    return as_jpeg(np.full((16, 24, 3), 99, np.uint8))


def bits_of(number):
    """A number as H.264 writes it (Exp-Golomb)."""
    text = f"{number + 1:b}"
    return "0" * (len(text) - 1) + text


def unit(header, bits):
    """A unit of H.264 with its stop bit; no three of its bytes need an escape."""
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    data = header + int(bits, 2).to_bytes(len(bits) // 8, "big")
    assert all(start not in data for start in (b"\0\0\0", b"\0\0\1", b"\0\0\2"))
    return START + data


def claiming_packet(side):
    """A key picture of 32 x 32 pixels behind parameters that state squares."""
    sizes = bits_of(side // 16 - 1) * 2
    sequence = "".join(map(bits_of, (0, 0, 2, 1))) + "0" + sizes + "1100"
    picture = "11" + "00" + "111" + "000" + "111" + "000"
    coded = GopEncoder(1, 20)(np.full((32, 32, 3), 99, np.uint8))
    image = START + coded.replace(START, START[1:]).split(START[1:])[-1]
    return unit(b"\x67\x42\0\x3e", sequence) + unit(b"\x68", picture) + image


@pytest.mark.parametrize("decoder", ["torchvision", "simplejpeg"])
def test_a_jpeg(little_memory, monkeypatch, decoder):
    if decoder == "torchvision":
        monkeypatch.setattr(jpeg, "simplejpeg", None)
    elif jpeg.simplejpeg is None:
        pytest.skip("simplejpeg (ssdet[fast]) is not installed")
    file = np.frombuffer(claiming(small_jpeg(), HUGE, HUGE), np.uint8)
    with pytest.raises(ValueError, match="it has 65500 x 65500 pixels, not 24 x 16"):
        list(decode_jpegs([file], (16, 24), torch.device("cpu")))


def test_a_frame_of_a_shard(little_memory, tmp_path):
    video = pack(tmp_path, "a", [10])
    bomb = claiming(video.file.read_bytes(), HUGE, HUGE)
    video.file.write_bytes(bomb)
    write(tmp_path / "frames/shard-000.h5", [video])
    with pytest.raises(
        ValueError, match=r"shard-000.h5: a frame of video a .*65500 pixels, not 24 x 1"
    ):
        FrameStore(tmp_path / "frames").read("a", [0])


@pytest.mark.parametrize("storage", ["jpeg", "video"])
def test_an_index_that_claims_more_than_its_frames_have(
    little_memory, tmp_path, storage
):
    """A hundred frames of 8192 x 8192 pixels are 20 GB."""
    path = tmp_path / "frames/shard-000.h5"
    write(path, [pack(tmp_path, "a", range(100), storage=storage)], storage)
    with h5py.File(path, "a") as file:
        index = file["index"][:]
        index["height"] = index["width"] = 8192
        file["index"][:] = index
        file["index"].attrs.pop("crc32")  # a stranger's fits
    with pytest.raises(ValueError, match="it has 24 x 16 pixels, not 8192 x 8192"):
        FrameStore(tmp_path / "frames").read("a", range(100))


def test_a_packet_of_stored_video(low_peak):
    packet = claiming_packet(16_000)
    with pytest.raises(ValueError, match="Invalid data"):
        list(decode_packets([packet], [True], (32, 32)))


def test_a_video(little_memory, tmp_path):
    path = tmp_path / "a.h264"
    path.write_bytes(claiming_packet(16_000) * 10)
    with pytest.raises(VideoError, match="its pictures have 16000 x 16000 pixels; at"):
        probe(path)


def test_a_video_whose_pictures_are_larger_than_its_container_says(low_peak, tmp_path):
    import av

    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for time in range(9):
            packet = av.Packet(claiming_packet(16_000))
            packet.stream, packet.pts, packet.dts = stream, time, time
            packet.is_keyframe = True
            container.mux(packet)
    with pytest.raises(VideoError, match="have 16000 x 16000 pixels"):
        probe(path)


def test_a_folder_of_frames(little_memory, tmp_path):
    bomb = claiming(small_jpeg(), HUGE, HUGE)
    (tmp_path / "a-000001.jpg").write_bytes(bomb)
    with pytest.raises(VideoError, match="its pictures have 65500 x 65500 pixels"):
        FrameFolder(tmp_path).check()


def test_a_strip_that_grows_when_scaled():
    assert target_size(16, 65_536, 16) == (16, 65_536)
    with pytest.raises(VideoError, match=r"too long \(1048576\)"):
        target_size(16, 65_536, 256)


def test_a_frame_that_is_shown_for_years(make_video, tmp_path):
    """At 24 frames/s it would be stored five billion times."""
    path = make_video(tmp_path / "a.mkv", [0, 100, 200], times_s=[0, 0.1, 2e8])
    with pytest.raises(VideoError, match="a frame is shown at 200000000 s; videos of"):
        probe(path)


def test_sizes_of_headers():
    file = small_jpeg()
    assert jpeg_size(file) == (16, 24)
    comment = b"\xff\xfe\0\x0b\xff\xc0\0\x11\x08\0\1\0\1"  # like a header
    assert jpeg_size(file[:2] + comment + b"\0\xff" + file[2:]) == (16, 24)
    for end in range(file.index(b"\xff\xc0") + 9):
        with pytest.raises(ValueError, match="not a JPEG file"):
            jpeg_size(file[:end])
    with pytest.raises(ValueError, match="states no size"):
        jpeg_size(claiming(file, 0, 24))  # stated later: nothing here reads it
