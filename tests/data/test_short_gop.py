"""Short-GOP video: what is lost, where decoding may begin, and what is refused."""

import hashlib

import numpy as np
import pytest

from ssdet.data.short_gop import GopEncoder, decode_packets

pytest.importorskip("av")


def scene(frames=17, height=64, width=96):
    """Soft shapes that move over a slope."""
    y, x = np.mgrid[:height, :width]
    pictures = []
    for t in range(frames):
        disc = np.exp(-((x - 20 - 3 * t) ** 2 + (y - 30) ** 2) / 200)
        red, green = 40 + 180 * disc, 60 + x / 2 + 0 * y
        pictures.append(np.stack([red, green, 200 - 2 * y], -1).astype(np.uint8))
    return pictures


def coded(pictures, gop=4, crf=20):
    encode = GopEncoder(gop, crf)
    return [encode(picture) for picture in pictures]


def decoded(packets, size=(64, 96)):
    return [p.copy() for p in decode_packets(packets, [True] * len(packets), size)]


def psnr(found, expected):
    error = np.mean((np.asarray(found, float) - np.asarray(expected, float)) ** 2)
    return 10 * np.log10(255**2 / error)


@pytest.mark.parametrize(("crf", "least"), [(10, 42), (20, 37), (30, 31)])
@pytest.mark.parametrize("gop", [1, 4, 50])
def test_quality(gop, crf, least):
    pictures = scene()
    packets = coded(pictures, gop, crf)
    assert psnr(decoded(packets), pictures) > least


@pytest.mark.parametrize("grey", [0, 16, 128, 235, 255])
def test_the_whole_range_of_levels_is_kept(grey):
    flat = np.full((32, 48, 3), grey, np.uint8)
    (found,) = decoded(coded([flat], crf=5), (32, 48))
    assert abs(found.astype(int) - grey).max() <= 1


def test_equal_pictures_give_equal_bytes():
    digests = {hashlib.sha256(b"".join(coded(scene()))).hexdigest() for _ in range(3)}
    assert len(digests) == 1


def test_decoding_begins_at_any_key_picture():
    packets = coded(scene(), gop=4)
    whole = decoded(packets)
    for key in range(0, len(packets), 4):
        for found, expected in zip(decoded(packets[key:]), whole[key:], strict=True):
            assert np.array_equal(found, expected)
    stretches = packets[8:11] + packets[0:2] + packets[16:]
    shown = [False, False, True, False, True, True]
    found = list(decode_packets(stretches, shown, (64, 96)))
    for one, index in zip(found, (10, 1, 16), strict=True):
        assert np.array_equal(one, whole[index])


def test_others_need_the_key_picture():
    with pytest.raises(ValueError, match=r"."):
        decoded(coded(scene(), gop=4)[1:2])


def test_fewer_key_pictures_and_less_quality_need_less_space():
    sizes = [len(b"".join(coded(scene(), gop, 20))) for gop in (1, 4, 16)]
    assert sizes == sorted(sizes, reverse=True)
    sizes = [len(b"".join(coded(scene(), 4, crf))) for crf in (10, 20, 30)]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("packet", [b"", b"\0" * 40, b"no packet of video"])
def test_no_packet(packet):
    with pytest.raises(ValueError, match=r"."):
        decoded([packet])


def test_a_packet_cut_off():
    (packet,) = coded(scene(1))
    with pytest.raises(ValueError, match=r"."):
        decoded([packet[: len(packet) // 2]])


def test_another_size():
    with pytest.raises(ValueError, match="it has 96 x 64 pixels, not 64 x 96"):
        decoded(coded(scene(1)), (96, 64))


@pytest.mark.parametrize("size", [(9, 10), (10, 9)])
def test_odd_sides(size):
    with pytest.raises(ValueError, match=r"sides must be even; change frames\.short"):
        GopEncoder(4, 20)(np.zeros((*size, 3), np.uint8))
