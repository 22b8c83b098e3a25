"""JPEG as frames are stored: its colours, its quantisation, what it loses."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from ssdet.config import StoredFrames
from ssdet.data import jpeg
from ssdet.data.pack import PackJob, pack_video
from ssdet.data.picture_sources import encode_jpeg, jpeg_step
from ssdet.files import sha256
from tests.data.colours import MATRICES, RGB, frame_of


def textured(height=96, width=128):
    """Waves of grey with some grain over a slope of colour."""
    y, x = np.mgrid[:height, :width]
    waves = sum(np.sin(a * x + b * y) for a, b in ((0.9, 0.3), (0.4, -0.5), (0.1, 0.2)))
    grey = 120 + 25 * waves + np.random.default_rng(0).normal(0, 3, (height, width))
    slope = np.stack([x / 2 - 30, 20 - y / 2, 0.3 * (x + y) - 40], -1)
    return Image.fromarray((grey[..., None] + slope).clip(0, 255).astype(np.uint8))


def psnr(data, picture):
    decoded = np.asarray(Image.open(io.BytesIO(data)), float)
    return 10 * np.log10(255**2 / np.mean((decoded - np.asarray(picture)) ** 2))


@pytest.mark.parametrize(
    ("quality", "step"),
    [
        (1, 255),  # 1250, but a table of baseline JPEG ends at 255
        (5, 250),
        (25, 50),
        (49, 26),
        (50, 25),
        (75, 13),
        (80, 10),
        (90, 5),
        (95, 3),
        (98, 1),
        (100, 1),
    ],
)
def test_quality_is_the_step_of_all_frequencies(quality, step):
    assert jpeg_step(quality) == step
    file = Image.open(io.BytesIO(encode_jpeg(textured(), quality)))
    assert file.quantization == {0: [step] * 64}


def test_better_is_larger_and_closer():
    picture = textured()
    files = [encode_jpeg(picture, quality) for quality in range(5, 101, 5)]
    sizes, decibels = [len(f) for f in files], [psnr(f, picture) for f in files]
    assert sizes == sorted(sizes)
    assert decibels == sorted(decibels)
    assert decibels[17] > 43  # quality 90


def test_closer_than_with_the_tables_of_the_standard_in_fewer_bytes():
    picture, buffer = textured(), io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    ours = encode_jpeg(picture, 85)
    assert len(ours) < buffer.tell()
    assert psnr(ours, picture) > psnr(buffer.getvalue(), picture)


@pytest.mark.parametrize("size", [(64, 48), (57, 33), (16, 16), (1, 1), (17, 300)])
def test_every_decoder_sees_the_same(size, monkeypatch):
    picture = textured().resize(size)
    data = encode_jpeg(picture, 90)
    file = Image.open(io.BytesIO(data))
    assert (file.size, file.mode) == (size, "RGB")
    assert not file.info.get("progressive")
    assert file.info["jfif"] == 257  # version 1.1
    assert [layer[1:3] for layer in file.layer] == [(2, 2), (1, 1), (1, 1)]  # 4:2:0
    expected, given = np.asarray(file), np.frombuffer(bytearray(data), np.uint8)
    for decoder in (jpeg.simplejpeg, None):
        monkeypatch.setattr(jpeg, "simplejpeg", decoder)
        (found,) = jpeg.decode_jpegs([given], size[::-1], torch.device("cpu"))
        assert np.array_equal(found, expected)


def test_equal_pictures_give_equal_bytes_wherever_they_are_from():
    picture, buffer = textured(), io.BytesIO()
    picture.save(buffer, "PNG")
    again = Image.open(buffer).convert("RGB")
    again.info["comment"] = b"of the file that it is from"
    assert encode_jpeg(again, 90) == encode_jpeg(picture, 90)


@pytest.mark.parametrize(
    ("codec", "bits", "options"),
    [
        ("libx264", 8, {"qp": "0"}),
        ("libx265", 10, {"x265-params": "lossless=1:log-level=none:pools=none"}),
    ],
)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
def test_colours_of_a_video(tmp_path, codec, bits, options, full, matrix):
    av = pytest.importorskip("av")
    path, out = tmp_path / "a.ts", tmp_path / "out"
    frame = frame_of(RGB, (160, 64), matrix, full, bits)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height = 160, 64
        stream.pix_fmt, context = frame.format.name, stream.codec_context
        context.colorspace, context.color_range = frame.colorspace, frame.color_range
        context.thread_count = 1
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    stored = StoredFrames(short_side=45, shard_videos=64, jpeg_quality=98)
    job = PackJob("a", str(path), sha256(path), 1, 10.0, stored, out)
    assert pack_video(job).lengths.shape == (1,)
    picture = np.asarray(Image.open(out), int)
    assert picture.shape == (45, 112, 3)
    corners = picture[[5, 5, -6, -6], [5, -6, 5, -6]]
    assert np.abs(corners - RGB).max() <= 3
