"""Seconds, source frames, sampled frames, feature rows: the one place that maps them.

All indices count from 0. Source frames are the frames of the frame store (after
resampling to the data set's rate); sampled frames are every `stride`-th of them; a
feature row is the sampled frame of the same number of the whole video.

Source: spec of SSDet section 4 and of Coarse-Fine section 1 (reference sampling).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ssdet.randomness import uniform_int


@dataclass(frozen=True)
class Timeline:
    """The clock of one video.

    Attributes:
        frames: source frames there are, at least 1.
        duration_s: seconds they span, by the annotation where it says so.
        stride: source frames from one sampled frame to the next.
    """

    frames: int
    duration_s: float
    stride: int

    @property
    def fps(self) -> float:
        """Source frames per second, counted: frames over duration."""
        return self.frames / self.duration_s

    @property
    def samples(self) -> int:
        """Sampled frames of the whole video, the last step may be cut short."""
        return -(-self.frames // self.stride)

    @property
    def rows(self) -> int:
        """Feature rows: sampled frames with a whole step behind them, at least 1."""
        return max(1, self.frames // self.stride)

    def frame_of_sample(self, sample: int) -> int:
        """Source frame of a sampled frame."""
        return sample * self.stride

    def seconds_of_frame(self, frame: float) -> float:
        """Time of a source frame."""
        return frame / self.fps

    def frame_of_seconds(self, seconds: float) -> float:
        """Source frame, with fraction, at a time."""
        return seconds * self.fps

    def seconds_of_sample(self, sample: float) -> float:
        """Time of a sampled frame (or feature row)."""
        return self.seconds_of_frame(sample * self.stride)

    def corner_times(self, samples: int) -> np.ndarray:
        """Times (samples,) that lie evenly from the first to the last source frame.

        Linear interpolation between them is the resize with aligned corners.
        """
        last = self.seconds_of_frame(self.frames - 1)
        return np.linspace(0.0, last, samples) if samples > 1 else np.zeros(1)

    def sample_times(self, samples: int) -> np.ndarray:
        """Times (samples,) of the first sampled frames."""
        return np.arange(samples) * self.stride / self.fps


def frames_in(duration_s: float, fps: float) -> int:
    """Frames of a video once it is resampled to a rate, at least 1."""
    return max(1, round(duration_s * fps))


def draw_start(frames: int, window: int, source: torch.Generator) -> int:
    """Draw the first source frame of a training window.

    Every window inside the video is equally likely; a video shorter than the window
    begins at its first frame.
    """
    return uniform_int(0, max(1, frames - window + 1), source)


def draw_start_before(
    frames: int, window: int, start: int, source: torch.Generator
) -> int:
    """Draw the first source frame of a window that begins no later than `start`.

    Every such window inside the video is equally likely; a video shorter than the
    window begins at its first frame.
    """
    return uniform_int(0, min(start, max(0, frames - window)) + 1, source)


def window_samples(frames: int, start: int, samples: int, stride: int) -> list[int]:
    """Source frames of a clip's sampled frames, cut at the video's last frame."""
    return list(range(start, min(frames, start + samples * stride), stride))


def feature_window(rows: int, start: float, samples: int, width: int) -> int:
    """First feature row of the window of `width` rows that surrounds a coarse clip.

    Args:
        rows: feature rows of the whole video.
        start: feature row (with fraction) at which the coarse clip begins.
        samples: sampled frames of the coarse clip.
        width: rows the window may have.

    Source: spec of Coarse-Fine, section 3.4 (our correction of "always the first 128").
    """
    first = round(start + samples / 2 - width / 2)
    return max(0, min(first, rows - width))


def central_window(rows: int, width: int) -> int:
    """First of the `width` sampled frames in the middle of `rows`, or of all."""
    return max(0, (rows - width) // 2)
