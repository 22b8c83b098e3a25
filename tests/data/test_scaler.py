"""Pictures of decoded frames: their colours, where they lie, which way up."""

import numpy as np
import pytest
from PIL import Image

from ssdet.data.scaler import Scaler
from ssdet.data.video import Video
from tests.data.colours import MATRICES, RGB, frame_of

av = pytest.importorskip("av")


@pytest.mark.parametrize("size", [(64, 48), (97, 61), (130, 38)])
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
def test_colours(matrix, full, bits, size):
    frame = frame_of(RGB, size, matrix, full, bits)
    picture = np.asarray(Scaler(33, 45, 0)(frame), int)
    assert picture.shape == (33, 45, 3)
    corners = picture[[3, 3, -4, -4], [3, -4, 3, -4]]
    assert np.abs(corners - RGB).max() <= 2


# Left, upper, right and lower edge of 160 x 96 pixels, as each plane counts.
LUMA, CHROMA = (0, 0, 160, 96), (0.25, 0, 80.25, 48)


def noise(width, height, form):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=form)


@pytest.mark.parametrize(
    "form",
    [
        "yuv420p",
        "yuvj420p",
        "nv12",
        "yuv422p",
        "yuv444p",
        "yuv420p10le",
        "gray",
        "bgra",
    ],
)
@pytest.mark.parametrize(
    ("size", "wanted", "most"),
    [
        ((64, 48), (64, 48), 0),
        ((171, 95), (57, 33), 0),
        ((854, 480), (456, 256), 0),
        ((64, 48), (113, 85), 1),  # enlarged: rounded elsewhere
    ],
)
def test_pixels_are_those_that_ffmpeg_gives_as_rgb24(form, size, wanted, most):
    from av.video.reformatter import Interpolation

    frame, (width, height) = noise(*size, form), wanted
    plain = frame.reformat(
        width,
        height,
        "rgb24",
        interpolation=Interpolation.BILINEAR
        | Interpolation.ACCURATE_RND
        | Interpolation.FULL_CHR_H_INT,
        threads=1,
    )
    found = np.asarray(Scaler(height, width, 0)(frame), int)
    assert np.abs(found - plain.to_ndarray()).max() <= most


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        (0, [[0, 1], [2, 3]]),
        (90, [[2, 0], [3, 1]]),
        (180, [[3, 2], [1, 0]]),
        (270, [[1, 3], [0, 2]]),
    ],
)
def test_pictures_are_turned_clockwise(turn, expected):
    picture = np.asarray(
        Scaler(30, 40, turn)(frame_of(RGB, (80, 60), "601", True)), int
    )
    assert picture.shape == ((30, 40, 3) if turn in (0, 180) else (40, 30, 3))
    corners = picture[[2, 2, -3, -3], [2, -3, 2, -3]]
    assert np.abs(corners - RGB[np.ravel(expected)]).max() <= 2


def test_frames_may_change_within_a_video():
    """Size, pixel format, matrix and range: the picture's size stays."""
    scale = Scaler(24, 32, 0)
    frames = [
        frame_of(RGB, (64, 48), "601", False),
        frame_of(RGB, (96, 64), "601", False),
        frame_of(RGB, (96, 64), "709", False),
        frame_of(RGB, (96, 64), "709", True),
        frame_of(RGB, (96, 64), "709", True, bits=10),
        noise(80, 50, "bgra"),
    ]
    for frame in [*frames, *frames[::-1]]:
        assert scale(frame) == Scaler(24, 32, 0)(frame)


def planes(frame):
    """Luma and chroma, with a column more, a copy of the last one."""
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        pixels = rows[:, : plane.width].astype(np.float32)
        yield Image.fromarray(np.pad(pixels, ((0, 0), (0, 1)), mode="edge"))


def test_chroma_lies_where_h264_places_it(tmp_path, make_video):
    """Over the left one of two luma pixels: against scaling in floating point."""
    y, x = np.mgrid[:96, :160].astype(np.float32)
    waves = [np.sin(a * x + b * y) for a, b in ((0.3, 0.1), (0.2, -0.2), (0.1, 0.3))]
    image = (128 + 80 * np.stack(waves, -1)).astype(np.uint8)
    path = make_video(tmp_path / "a.mp4", [image] * 2, size=(160, 96))
    with Video(path) as video:
        frame = video.first_frame()
    luma, *chroma = (
        np.asarray(plane.resize((90, 54), Image.Resampling.BILINEAR, box))
        for plane, box in zip(planes(frame), [LUMA, CHROMA, CHROMA], strict=True)
    )
    scaled = (luma - 16) * 255 / 219
    blue, red = ((plane - 128) * 255 / 224 for plane in chroma)
    expected = np.stack(
        [
            scaled + 1.402 * red,
            scaled - 0.344136 * blue - 0.714136 * red,
            scaled + 1.772 * blue,
        ],
        axis=-1,
    )
    difference = np.abs(np.asarray(Scaler(54, 90, 0)(frame)) - expected.clip(0, 255))
    assert difference.max() < 2


def test_scaling_is_that_of_pillow(shared):
    """The antialiased bilinear filter of the reference's loader."""
    with Video(shared / "data/videos/v_GGSY1Qvo990.mp4") as video:
        frame = next(iter(video.frames())).frame
    full = Scaler(240, 320, 0)(frame)
    expected = np.asarray(full.resize((106, 80), Image.Resampling.BILINEAR), int)
    difference = np.abs(np.asarray(Scaler(80, 106, 0)(frame)) - expected)
    assert difference.mean() < 1.5
    aliased = np.asarray(full.resize((106, 80), Image.Resampling.NEAREST), int)
    assert difference.mean() < np.abs(aliased - expected).mean() / 4
