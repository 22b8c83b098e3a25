import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet.data.clip_sampling import clip_frames, train_window, validation_windows
from ssdet.randomness import generator


@pytest.mark.parametrize(
    ("frames", "begin", "expected"),
    [(20, 3, [3, 8, 13, 18]), (11, 0, [0, 5, 10, 0]), (1, 0, [0, 0, 0, 0])],
)
def test_short_videos_are_repeated_from_their_start(frames, begin, expected):
    assert clip_frames(frames, begin, samples=4, stride=5) == expected


def test_every_beginning_is_drawn():
    source = generator(0)
    begins = {train_window(25, 4, 5, source)[0] for _ in range(200)}
    assert begins == {0, 1, 2, 3, 4}  # as released: the last frame is never reached


@settings(deadline=None, max_examples=60)
@given(
    frames=st.integers(1, 300),
    samples=st.integers(1, 20),
    stride=st.integers(1, 9),
    seed=st.integers(0, 2**31),
)
def test_windows_lie_inside_the_video(frames, samples, stride, seed):
    clips = [
        train_window(frames, samples, stride, generator(seed)),
        *validation_windows(frames, samples, stride),
    ]
    for clip in clips:
        assert len(clip) == samples
        assert min(clip) >= 0
        assert max(clip) < frames


def test_validation_windows():
    assert validation_windows(20, 2, 2) == [[0, 2], [6, 8], [12, 14]]
    assert validation_windows(3, 4, 2, 2) == [[0, 2, 0, 2]] * 2
    assert validation_windows(20, 2, 2, 1) == [[0, 2]]
