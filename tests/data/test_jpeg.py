"""Decoding JPEG: the same pixels whoever decodes, and what is refused."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from ssdet.data import jpeg
from ssdet.data.jpeg import decode_jpegs

CPU = torch.device("cpu")
DECODERS = ("torchvision", "simplejpeg")


@pytest.fixture(params=DECODERS)
def decoder(request, monkeypatch):
    """Each decoder in turn, as if nothing else were installed."""
    if request.param == "torchvision":
        monkeypatch.setattr(jpeg, "simplejpeg", None)
    else:
        pytest.importorskip(
            "simplejpeg",
            reason="simplejpeg (ssdet[fast]) is not installed",
        )
    return request.param


def encoded(pixels, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return np.frombuffer(bytearray(buffer.getvalue()), np.uint8)


def pixels(height, width, seed=0):
    """Noise beside smooth colours: both make chroma's filter matter."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    ramp = np.linspace(0, 255, width)[None, :, None] * np.array([1.0, 0.3, 0.7])
    noise[height // 2 :] = ramp.astype(np.uint8)
    return noise


def decode(files, size):
    return [p.clone() for p in decode_jpegs(files, size, CPU)]


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    ("height", "width", "quality"),
    [(33, 47, 90), (64, 48, 75), (1, 1, 50), (17, 16, 100), (15, 300, 30)],
)
def test_pixels_are_pillows(decoder, height, width, quality, progressive, subsampling):
    file = encoded(
        pixels(height, width),
        quality=quality,
        subsampling=subsampling,
        progressive=progressive,
    )
    (found,) = decode([file], (height, width))
    assert found.dtype == torch.uint8
    assert np.array_equal(found, np.asarray(Image.open(io.BytesIO(file))))


def test_several_files(decoder):
    images = [pixels(24, 32, seed) for seed in range(3)]
    found = decode([encoded(image, quality=100) for image in images], (24, 32))
    for image, one in zip(images, found, strict=True):
        assert np.array_equal(
            one, np.asarray(Image.open(io.BytesIO(encoded(image, quality=100))))
        )


def test_grey_becomes_red_green_blue(decoder):
    (found,) = decode([encoded(pixels(9, 9)[..., 0])], (9, 9))
    assert found.shape == (9, 9, 3)
    assert found[..., 0].equal(found[..., 1])
    assert found[..., 0].equal(found[..., 2])


def test_extra_bytes_are_passed_over(decoder):
    file = encoded(pixels(9, 9))
    padded = np.concatenate([file, np.zeros(7, np.uint8)])
    assert decode([padded], (9, 9))[0].equal(decode([file], (9, 9))[0])


@pytest.mark.parametrize("size", [(9, 10), (10, 9), (8, 9), (3, 27)])
def test_another_size_is_refused(decoder, size):
    with pytest.raises(
        ValueError, match=f"it has 9 x 9 pixels, not {size[1]} x {size[0]}"
    ):
        decode([encoded(pixels(9, 9))], size)


@pytest.mark.parametrize("kept", [0, 2, 100, -30])
def test_a_file_cut_off_is_refused(decoder, kept):
    with pytest.raises(ValueError, match=r"."):
        decode([encoded(pixels(64, 64))[:kept]], (64, 64))


def test_no_jpeg(decoder):
    with pytest.raises(ValueError, match=r"[Nn]ot a JPEG"):
        decode([np.full(1000, 65, np.uint8)], (64, 64))
