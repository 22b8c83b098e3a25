"""Seconds, source frames, sampled frames, feature rows: what holds for every video.

Each stage has its own way along this chain; the properties are those that its
specification states, or that the next stage relies on.
"""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ssdet.data.annotations import Segment
from ssdet.data.clip_sampling import clip_frames, train_window, validation_windows
from ssdet.data.frame_labels import frame_labels
from ssdet.data.pack import Sampler
from ssdet.data.sampling import (
    Timeline,
    central_window,
    draw_start,
    draw_start_before,
    feature_window,
    frames_in,
    window_samples,
)
from ssdet.randomness import generator

ROUNDING = 1e-9  # seconds, or frames

timelines = st.builds(
    Timeline,
    frames=st.integers(1, 5000),
    duration_s=st.floats(0.04, 2000),
    stride=st.integers(1, 30),
)
seeds = st.integers(0, 2**31)
many = settings(deadline=None, max_examples=150)


# ----------------------------------------------------------------- the clock of a video


@many
@given(timelines, st.floats(0, 1))
def test_seconds_to_frames_and_back(timeline, share):
    seconds = share * timeline.duration_s
    frame = timeline.frame_of_seconds(seconds)
    assert timeline.seconds_of_frame(frame) == pytest.approx(seconds, abs=ROUNDING)
    assert 0 <= frame <= timeline.frames * (1 + ROUNDING)


@many
@given(timelines)
def test_the_last_frame_begins_before_the_end_and_the_next_would_not(timeline):
    end_s = timeline.seconds_of_frame(timeline.frames)
    assert end_s == pytest.approx(timeline.duration_s)
    assert timeline.seconds_of_frame(timeline.frames - 1) < timeline.duration_s


@many
@given(timelines)
def test_samples_are_the_frames_that_there_are(timeline):
    sampled = list(range(0, timeline.frames, timeline.stride))
    assert [timeline.frame_of_sample(s) for s in range(timeline.samples)] == sampled


@many
@given(timelines)
def test_a_row_is_the_sample_of_its_number_with_a_whole_step_behind_it(timeline):
    rows, samples, stride = timeline.rows, timeline.samples, timeline.stride
    assert 1 <= rows <= samples <= rows + 1
    whole = [s for s in range(samples) if (s + 1) * stride <= timeline.frames]
    assert rows == max(1, len(whole))


@many
@given(timelines)
def test_sampled_frames_have_one_time(timeline):
    times = timeline.sample_times(timeline.samples).tolist()
    assert times == [timeline.seconds_of_sample(s) for s in range(timeline.samples)]
    assert times == [
        timeline.seconds_of_frame(timeline.frame_of_sample(s))
        for s in range(timeline.samples)
    ]
    assert all(0 <= time < timeline.duration_s for time in times)


@many
@given(timelines, st.floats(0, 1, exclude_max=True))
def test_a_time_lies_in_the_step_of_its_sample(timeline, share):
    seconds = share * timeline.duration_s
    sample = int(timeline.frame_of_seconds(seconds) // timeline.stride)
    assert timeline.seconds_of_sample(sample) <= seconds + ROUNDING
    assert seconds <= timeline.seconds_of_sample(sample + 1) + ROUNDING


@many
@given(timelines, st.integers(1, 500))
def test_corner_times_span_the_first_to_the_last_frame(timeline, samples):
    times = timeline.corner_times(samples)
    assert len(times) == samples
    assert times[0] == 0
    if samples > 1:
        last_s = timeline.seconds_of_frame(timeline.frames - 1)
        assert times[-1] == pytest.approx(last_s)
        steps = np.diff(times)
        assert steps == pytest.approx(np.full(samples - 1, last_s / (samples - 1)))


# ------------------------------------------------------ videos to the frames of a store


def shown(ends_s, fps):
    """Source frame of each stored frame, as packing takes them."""
    sampler, source = Sampler(fps), []
    for number, end_s in enumerate(ends_s):
        source += [number] * sampler.copies(end_s)
    excess = sampler.excess(ends_s[-1])
    if excess > 0:
        return source[:-excess]
    return source + [len(ends_s) - 1] * -excess


@many
@given(
    st.lists(st.floats(1e-3, 2), min_size=1, max_size=60).map(np.cumsum),
    st.floats(0.5, 60),
)
def test_a_stored_frame_shows_what_the_video_shows_in_its_middle(ends_s, fps):
    source = shown(ends_s.tolist(), fps)
    assert len(source) == frames_in(float(ends_s[-1]), fps)
    assert source == sorted(source)
    for frame, number in enumerate(source):
        middle_s = (frame + 0.5) / fps
        begin_s = ends_s[number - 1] if number else 0.0
        # At the end the last frame is held, for less than a frame.
        held = number == len(ends_s) - 1
        assert begin_s <= middle_s + ROUNDING
        assert middle_s <= ends_s[number] + (1 / fps if held else ROUNDING)


@many
@given(st.integers(1, 400), st.floats(1, 120), st.floats(1, 120))
def test_a_constant_rate_is_resampled_evenly(frames, rate, fps):
    ends_s = [(i + 1) / rate for i in range(frames)]
    source = np.array(shown(ends_s, fps))
    exact = (np.arange(len(source)) + 0.5) * rate / fps
    assert np.all(source <= exact + ROUNDING)
    inside = source < frames - 1
    assert np.all(exact[inside] <= source[inside] + 1 + ROUNDING)


# ---------------------------------------------------------------------- stage: pretrain


@many
@given(st.integers(1, 600), st.integers(1, 20), st.integers(1, 9), seeds)
def test_pretraining_windows_begin_where_the_specification_says(
    frames, samples, stride, seed
):
    """Begin in 0..max(0, N - window - 1), every stride-th frame, shorter: repeated."""
    clip = train_window(frames, samples, stride, generator(seed))
    begin = clip[0]
    assert 0 <= begin <= max(0, frames - samples * stride - 1)
    there = list(range(begin, frames, stride))
    assert clip == (there * samples)[:samples]
    if frames > samples * stride:
        assert clip == [begin + i * stride for i in range(samples)]


@many
@given(st.integers(1, 600), st.integers(1, 20), st.integers(1, 9))
def test_validation_crops_lie_evenly(frames, samples, stride):
    """At 0, step, 2 step of the L sampled frames, step = floor((L - 1 - T) / 2)."""
    sampled = len(range(0, frames, stride))
    step = max(0, (sampled - 1 - samples) // 2)
    clips = validation_windows(frames, samples, stride)
    assert [clip[0] for clip in clips] == [0, step * stride, 2 * step * stride]
    assert clips == [clip_frames(frames, c[0], samples, stride) for c in clips]
    if sampled > samples:
        assert all(c[-1] == c[0] + (samples - 1) * stride < frames for c in clips)


# -------------------------------------- stages: fine, coarse_fine, slowfast, end_to_end


@many
@given(timelines, st.integers(1, 80), seeds)
def test_training_clips_and_their_labels_are_of_the_same_frames(
    timeline, samples, seed
):
    stride, window = timeline.stride, samples * timeline.stride
    start = draw_start(timeline.frames, window, generator(seed))
    frames = window_samples(timeline.frames, start, samples, stride)
    assert 0 <= start <= max(0, timeline.frames - window)
    assert frames == [f for f in range(start, start + window, stride)][: len(frames)]
    assert frames[-1] < timeline.frames
    spanned = min(window, timeline.frames - start)  # source frames that are labelled
    assert len(frames) == -(-spanned // stride)
    if timeline.frames >= window:
        assert (len(frames), spanned) == (samples, window)


@many
@given(
    timelines,
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1.1)), max_size=5),
)
def test_labels_of_samples_are_those_of_their_times(timeline, shares):
    """Strict bounds, in double precision, at the times that predictions have."""
    assume(timeline.frames <= 2000)
    segments = [
        Segment(a * timeline.duration_s, b * timeline.duration_s, "x")
        for a, b in shares
    ]
    labels = frame_labels(segments, {"x": 0}, timeline.frames, timeline.fps)
    sampled = labels[0, :: timeline.stride]
    times = timeline.sample_times(timeline.samples)
    expected = [any(s.start_s < t < s.end_s for s in segments) for t in times]
    assert sampled.tolist() == expected
    assert labels[0, 0] == 0  # the first frame is inside of nothing


@many
@given(st.integers(1, 600), st.integers(1, 64), st.integers(1, 128), st.floats(0, 1))
def test_the_feature_window_lies_in_the_video_around_the_clip(
    rows, samples, width, share
):
    start = share * max(0, rows - samples)
    first = feature_window(rows, start, samples, width)
    last = max(0, rows - width)
    assert 0 <= first <= last
    off = first + width / 2 - (start + samples / 2)
    if 0 < first < last:
        assert abs(off) <= 0.5 + ROUNDING  # centred
    if width > samples and rows >= samples:
        assert first <= start + ROUNDING
        assert min(rows, first + width) >= min(rows, start + samples) - 1


@many
@given(timelines, st.integers(1, 80), st.integers(1, 80), seeds)
def test_a_fine_clip_begins_inside_the_video_no_later_than_the_coarse_one(
    timeline, samples, fine_samples, seed
):
    frames, source = timeline.frames, generator(seed)
    window = fine_samples * timeline.stride
    start = draw_start(frames, samples * timeline.stride, source)
    fine_start = draw_start_before(frames, window, start, source)
    assert 0 <= fine_start <= min(start, max(0, frames - window))


def test_all_starts_of_a_fine_clip_are_drawn():
    """Of 10 frames, 4 in the window: up to the coarse clip's start, or up to 6."""
    for start, latest in ((3, 3), (6, 6), (9, 6)):
        source = generator(start)
        drawn = {draw_start_before(10, 4, start, source) for _ in range(200)}
        assert drawn == set(range(latest + 1))


@pytest.mark.parametrize(
    ("rows", "width", "first"), [(9, 4, 2), (8, 4, 2), (4, 4, 0), (3, 4, 0)]
)
def test_the_middle_of_a_video(rows, width, first):
    assert central_window(rows, width) == first
