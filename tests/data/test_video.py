"""Decoding: how many frames, when each is shown, which way up."""

import shutil

import numpy as np
import pytest

from ssdet.data.scaler import Scaler
from ssdet.data.time_order import in_order
from ssdet.data.video import Video, VideoError, probe, rotation, target_size

pytest.importorskip("av")

RAMP = list(range(20, 220, 10))  # 20 frames


def levels(path):
    """Mean grey of each frame, and when it is shown."""
    scale = Scaler(48, 64, 0)
    with Video(path) as video:
        return [
            (
                float(np.mean(scale(s.frame))),
                round(s.start_s, 3),
                round(s.end_s, 3),
            )
            for s in video.frames()
        ]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {}),
        ("a.mkv", "libx264", {}),
        ("a.avi", "mpeg4", {}),
        # Frames are stored in another order.
        ("b.avi", "mpeg4", {"bf": "2", "qmin": "1", "qmax": "1"}),
        ("a.webm", "libvpx-vp9", {"cpu-used": "8", "deadline": "realtime"}),
        ("a.ts", "libx264", {}),
    ],
)
def test_every_frame_in_order_with_its_time(tmp_path, make_video, name, codec, options):
    path = make_video(tmp_path / name, RAMP, codec=codec, options=options)
    shown = levels(path)
    assert [level for level, _, _ in shown] == pytest.approx(RAMP, abs=2.5)
    assert [start for _, start, _ in shown] == pytest.approx(np.arange(20) / 10)
    assert [end for _, _, end in shown] == pytest.approx(np.arange(1, 21) / 10)
    found = probe(path)
    assert (found.frames, found.width, found.height) == (20, 64, 48)
    assert (found.rotation, found.damaged) == (0, 0)
    assert found.duration_s == pytest.approx(2.0, abs=1e-3)


def test_variable_frame_rate(tmp_path, make_video):
    times = [0.0, 0.1, 0.5, 0.6]
    path = make_video(tmp_path / "a.mp4", [50, 100, 150, 200], times_s=times)
    assert [start for _, start, _ in levels(path)] == times
    assert [end for _, _, end in levels(path)][:3] == times[1:]


def test_times_are_relative_to_the_first_frame(tmp_path, make_video):
    path = make_video(tmp_path / "a.ts", RAMP, shift_s=7.0)
    assert levels(path)[0][1] == 0
    assert probe(path).duration_s == pytest.approx(2.0)


def test_frames_before_an_edit_list_are_no_loss(tmp_path, make_video):
    """A clip cut without encoding again hides the frames before its first one."""
    path = make_video(tmp_path / "a.mp4", RAMP, shift_s=-1.5, options={"bf": "0"})
    shown = levels(path)
    assert [level for level, _, _ in shown] == pytest.approx(RAMP[15:], abs=2.5)
    assert probe(path).frames == 5


@pytest.mark.parametrize(
    ("degrees", "expected", "size"),
    [(0, 0, (64, 48)), (90, 270, (48, 64)), (180, 180, (64, 48)), (-90, 90, (48, 64))],
)
def test_rotation_is_applied(tmp_path, make_video, degrees, expected, size):
    image = np.full((48, 64, 3), 60, np.uint8)
    image[:24, :32] = 200  # bright: upper left
    path = make_video(tmp_path / "a.mp4", [image] * 3, rotation=degrees)
    found = probe(path)
    assert (found.rotation, found.width, found.height) == (expected, *size)
    with Video(path) as video:
        frame = next(iter(video.frames())).frame
        upright = np.asarray(Scaler(48, 64, rotation(frame))(frame))
    assert upright.shape == (size[1], size[0], 3)
    turned = np.rot90(image, k=-expected // 90)
    assert np.abs(upright.astype(int) - turned).mean() < 6


def test_real_rotated_video(shared):
    found = probe(shared / "data/videos/rotated_90.mov")
    assert (found.frames, found.rotation) == (3, 90)
    assert (found.width, found.height) == (320, 568)


@pytest.mark.parametrize(
    ("name", "codec", "frames", "duration_s"),
    [("h265.mp4", "hevc", 10, 1.0), ("short_clip.avi", "mpeg4", 164, 6.56)],
)
def test_real_videos(shared, name, codec, frames, duration_s):
    found = probe(shared / "data/videos" / name)
    assert (found.codec, found.frames) == (codec, frames)
    assert found.duration_s == pytest.approx(duration_s)


def test_guessed_timestamps_of_a_real_avi_are_sorted(shared):
    """Its frames decode in order, with the timestamps 1, 2, 4, 3, 5, 7, 6, ..."""
    with Video(shared / "data/videos/short_clip.avi") as video:
        starts = [shown.start_s for shown in video.frames()]
    assert starts == pytest.approx(np.arange(164) / 25)


def test_real_corrupted_video(shared):
    with pytest.raises(VideoError, match=r"damaged or truncated: .* after 28 frames"):
        probe(shared / "data/videos/corrupted.mp4")


@pytest.mark.parametrize(
    ("name", "codec", "message"),
    [
        ("a.mp4", "libx264", "not a video: Invalid data"),  # its index is at the end
        ("fast.mp4", "libx264", "damaged or truncated: decoding stopped after"),
        ("a.mkv", "libx264", r"truncated: \d.*s could be decoded, .* states 10\.00 s"),
        ("a.avi", "mpeg4", r"truncated: \d+ frames could be decoded, .* states 100"),
    ],
)
def test_truncated(tmp_path, make_video, name, codec, message):
    noise = np.random.default_rng(0).integers(0, 255, (100, 48, 64, 3), np.uint8)
    fast = {"movflags": "faststart"} if name == "fast.mp4" else {}
    path = make_video(tmp_path / name, noise, codec=codec, container_options=fast)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(VideoError, match=message):
        probe(path)


def test_what_is_no_video(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("this is not a video\n" * 100)
    with pytest.raises(VideoError, match="not a video"):
        probe(text)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(VideoError, match="the file is empty"):
        probe(empty)


def test_sound_alone_is_no_video(tmp_path):
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="no video stream"):
        probe(path)


def test_flipped_bits_are_damage_that_is_counted(shared, tmp_path):
    path = tmp_path / "a.mp4"
    shutil.copyfile(shared / "data/videos/arm_wrestling.mp4", path)
    data = bytearray(path.read_bytes())
    for place in (200_000, 300_000):
        data[place] ^= 0xFF
    path.write_bytes(data)
    found = probe(path)
    assert found.frames == 280
    assert 0 < found.damaged <= 14


def test_timestamps_in_another_order_are_sorted():
    times = [1.0, 2.0, 4.0, 3.0, 5.0, 7.0, 6.0]
    shown = list(in_order(zip(times, "abcdefg", strict=True)))
    assert shown == list(zip(sorted(times), "abcdefg", strict=True))


@pytest.mark.parametrize(
    ("height", "width", "short_side", "expected"),
    [
        (240, 320, 256, (256, 342)),  # 341.33
        (320, 240, 256, (342, 256)),
        (256, 340, 128, (128, 170)),
        (128, 128, 25, (25, 25)),
        (100, 101, 25, (25, 26)),
        (1080, 1920, 256, (256, 456)),  # 455.1
    ],
)
def test_target_size(height, width, short_side, expected):
    assert target_size(height, width, short_side) == expected


def test_a_playlist_opens_no_other_file(make_video, tmp_path):
    """FFmpeg tells a playlist by its content; it may name any file of this machine."""
    make_video(tmp_path / "real.mp4", [0, 100, 200])
    assert probe(tmp_path / "real.mp4").frames == 3
    for text in (
        "ffconcat version 1.0\nfile real.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.mp4\n#EXT-X-ENDLIST\n",
    ):
        (tmp_path / "list.mp4").write_text(text)
        with pytest.raises(VideoError, match="not a video"):
            probe(tmp_path / "list.mp4")
