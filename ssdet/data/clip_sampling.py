"""Which frames of a video of the classification set make a clip.

Frames count from 0.

Source: spec of SSDet, sections 3.1 and 3.10 (released code of Kahatapitiya et al., AAAI
2023).
"""

from __future__ import annotations

import torch

from ssdet.randomness import uniform_int

VALIDATION_CROPS = 3  # in time


def last_begin(frames: int, window: int) -> int:
    """Last frame at which a training window of `window` frames may begin.

    As released, the window never reaches the last frame of a longer video.
    """
    return max(0, frames - window - 1)


def clip_frames(frames: int, begin: int, samples: int, stride: int) -> list[int]:
    """Frames of a clip: every `stride`-th from `begin`; if too few, the same again.

    Args:
        frames: of the video, more than `begin`.
        begin: first frame.
        samples: frames of the clip.
        stride: frames from one to the next.
    """
    there = range(begin, frames, stride)
    return [there[i % len(there)] for i in range(samples)]


def train_window(
    frames: int,
    samples: int,
    stride: int,
    source: torch.Generator,
    shorter: int = 1,
) -> list[int]:
    """Draw the frames of a training clip; every beginning is equally likely.

    Args:
        frames: of the video.
        samples: frames of the clip.
        stride: frames from one to the next.
        source: of the draws.
        shorter: times that the clip is shorter than the window it is drawn from
            (multigrid): a factor of `stride` from 1 to this is drawn too.
    """
    window = shorter * samples * stride
    begin = uniform_int(0, last_begin(frames, window) + 1, source)
    if shorter > 1:
        stride *= uniform_int(1, shorter + 1, source)
    return clip_frames(frames, begin, samples, stride)


def validation_windows(
    frames: int, samples: int, stride: int, crops: int = VALIDATION_CROPS
) -> list[list[int]]:
    """Frames of clips that begin evenly spread over a video.

    A video too short for that gives the same clip `crops` times.
    """
    sampled = -(-frames // stride)  # frames left of the whole video
    step = max(0, sampled - 1 - samples) // max(1, crops - 1)
    begins = [i * step * stride for i in range(crops)]
    return [clip_frames(frames, begin, samples, stride) for begin in begins]
