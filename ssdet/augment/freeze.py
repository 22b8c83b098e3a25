"""Volume Freeze: hold one frame still and call that stretch background.

Source: Kahatapitiya et al., AAAI 2023 (arXiv:2111.13675), "Volume Freeze".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ssdet.augment.frames import take_frames
from ssdet.augment.random_integers import uniform_integers
from ssdet.augment.soft_labels import SoftLabels, take_label_frames
from ssdet.config import FreezeConfig

BACKGROUND = 0  # class of frozen frames


@dataclass(frozen=True)
class FreezeDraw:
    """The frozen stretches of each clip, applied one after the other.

    Attributes:
        start: (B, S) int64, index of the held frame.
        length: (B, S) int64, frames it is held; 0 holds nothing.
    """

    start: Tensor
    length: Tensor


def draw_freeze(
    batch: int, frames: int, config: FreezeConfig, generator: torch.Generator
) -> FreezeDraw:
    """Draw stretches: the length uniform, then the start uniform among those that fit.

    Lengths go from `min_length` to one less than `max_fraction` of the clip, rounded
    down.

    Raises:
        ValueError: no length is possible in a clip of `frames`.
    """
    longest = math.floor(round(config.max_fraction * frames, 6)) - 1
    if longest < config.min_length:
        raise ValueError(
            f"augment.freeze.min_length ({config.min_length}) must not exceed"
            f" {longest}, which is one less than augment.freeze.max_fraction"
            f" ({config.max_fraction:g}) of {frames} frames; lower it, or use longer"
            " clips (pretrain.frames)"
        )
    shape = (batch, config.segments)
    length = torch.randint(config.min_length, longest + 1, shape, generator=generator)
    return FreezeDraw(uniform_integers(frames - length + 1, generator), length)


def frozen_order(start: Tensor, length: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Which frame is shown at each time once stretches are frozen.

    Args:
        start: (B, S), index of the held frame.
        length: (B, S), frames it is held; 0 holds nothing.
        frames: T.

    Returns:
        Source frame (B, T) int64, and whether it is background (B, T) bool.
    """
    t = torch.arange(frames, device=start.device)  # (T,)
    source = t.expand(start.shape[0], frames)
    background = torch.zeros_like(source, dtype=torch.bool)
    for first, count in zip(
        start.T[:, :, None], length.T[:, :, None], strict=True
    ):  # (B, 1)
        pushed = torch.maximum(first, t - (count - 1).clamp(min=0))
        order = torch.where(t < first, t, pushed)  # (B, T)
        source = source.gather(1, order)
        held = (first <= t) & (t < first + count)
        background = background.gather(1, order) | held
    return source, background


def volume_freeze(
    video: Tensor,
    labels: SoftLabels,
    draw: FreezeDraw,
    background: Literal["class", "ignore"],
) -> tuple[Tensor, SoftLabels]:
    """Hold frames of each clip; later frames move back, the last ones fall off.

    Args:
        video: (B, C, T, H, W).
        labels: of these clips; they move with the frames.
        draw: what to hold.
        background: held frames become class 0 ("class"), or lose weight and visibility,
            so that no loss is taken there ("ignore").

    Returns:
        New video and labels.
    """
    source, held = frozen_order(draw.start, draw.length, video.shape[2])
    video = take_frames(video, None, source)
    labels = take_label_frames(labels, source)
    if background == "class":
        return video, replace(
            labels, labels=labels.labels.masked_fill(held, BACKGROUND)
        )
    return video, replace(
        labels,
        weights=labels.weights.masked_fill(held, 0.0),
        visible=labels.visible & ~held,
    )
