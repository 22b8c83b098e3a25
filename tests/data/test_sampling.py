import numpy as np
import pytest

from ssdet.data.sampling import Timeline, draw_start, feature_window, window_samples
from ssdet.randomness import generator


def test_a_video_of_25_frames_in_ten_seconds():
    timeline = Timeline(frames=25, duration_s=10.0, stride=10)
    assert timeline.fps == 2.5
    assert timeline.samples == 3  # frames 0, 10, 20
    assert timeline.rows == 2  # rows 0 and 1 have ten frames behind them
    assert timeline.frame_of_sample(2) == 20
    assert timeline.seconds_of_frame(5) == 2.0
    assert timeline.frame_of_seconds(2.0) == 5.0
    assert timeline.seconds_of_sample(2) == 8.0
    assert timeline.sample_times(3).tolist() == [0.0, 4.0, 8.0]
    assert timeline.corner_times(3).tolist() == pytest.approx([0.0, 4.8, 9.6])


def test_the_shortest_video_has_one_sample_and_one_row():
    timeline = Timeline(frames=1, duration_s=0.04, stride=10)
    assert (timeline.samples, timeline.rows) == (1, 1)
    assert timeline.corner_times(1).tolist() == [0.0]


def test_corner_times_are_the_resize_with_aligned_corners():
    import torch
    from torch.nn import functional as F

    timeline = Timeline(frames=33, duration_s=33 / 24, stride=10)
    values = torch.randn(1, 1, 4, generator=generator(0), dtype=torch.float64)
    expected = F.interpolate(values, size=33, mode="linear", align_corners=True)
    frames = np.arange(33) / timeline.fps
    ours = np.interp(frames, timeline.corner_times(4), values.numpy()[0, 0])
    np.testing.assert_allclose(ours, expected.numpy()[0, 0], atol=1e-12)


def test_every_window_inside_the_video_can_be_drawn():
    source = generator(0)
    starts = {draw_start(frames=12, window=10, source=source) for _ in range(100)}
    assert starts == {0, 1, 2}
    assert draw_start(frames=5, window=10, source=source) == 0


def test_a_clip_ends_with_the_video():
    assert window_samples(frames=100, start=7, samples=3, stride=10) == [7, 17, 27]
    assert window_samples(frames=20, start=0, samples=4, stride=10) == [0, 10]
    assert window_samples(frames=21, start=0, samples=4, stride=10) == [0, 10, 20]


@pytest.mark.parametrize(
    ("rows", "start", "samples", "width", "expected"),
    [
        (100, 50.0, 64, 128, 0),  # shorter than the window: all of it
        (300, 100.0, 64, 128, 68),  # the clip's middle, 132, is the window's
        (300, 0.0, 64, 128, 0),
        (300, 236.0, 64, 128, 172),  # the last window there is
    ],
)
def test_the_feature_window_surrounds_the_clip(rows, start, samples, width, expected):
    assert feature_window(rows, start, samples, width) == expected
