"""Crops in space, the same for all frames of a clip, and normalisation.

Source: spec of SSDet, section 2 (released code of Kahatapitiya et al., AAAI 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Crop:
    """A square of the source frame, in pixels, mirrored or not."""

    left: int
    top: int
    side: int
    flip: bool

    @property
    def part(self) -> tuple[slice, slice]:
        """Its rows and columns of the source frame."""
        return (
            slice(self.top, self.top + self.side),
            slice(self.left, self.left + self.side),
        )


def draw_crop(
    height: int,
    width: int,
    crop: int,
    short_sides: Sequence[int],
    flip: float,
    generator: torch.Generator,
) -> Crop:
    """Draw the crop of a training clip.

    One of `short_sides` is taken; the frame is seen as if resized to that short side
    before a square of `crop` is cut out anywhere.

    Args:
        height: of the frames, in pixels.
        width: of the frames, in pixels.
        crop: side of what the network sees, in pixels.
        short_sides: in pixels, at least `crop`.
        flip: probability of mirroring.
        generator: on the CPU.
    """
    choice = int(torch.randint(len(short_sides), (), generator=generator))
    right, down, coin = torch.rand(3, dtype=torch.float64, generator=generator).tolist()
    scale = crop / short_sides[choice]
    return place_crop(height, width, scale, right, down, coin < flip)


def place_crop(
    height: int, width: int, scale: float, right: float, down: float, flip: bool
) -> Crop:
    """The crop of a scale at a relative place.

    Args:
        height: of the frames, in pixels.
        width: of the frames, in pixels.
        scale: side over the frame's short side, in (0, 1].
        right: corner, from 0 for the left-most place to 1 for the right-most.
        down: corner, from 0 for the top to 1 for the bottom.
        flip: whether to mirror.
    """
    side = math.floor(round(min(height, width) * scale, 6))  # 0.7 * 320 is 224
    side = max(1, side)
    left = math.floor(right * (width - side))
    top = math.floor(down * (height - side))
    return Crop(left, top, side, flip)


def centre_crop(height: int, width: int) -> Crop:
    """The largest square in the middle of a frame."""
    side = min(height, width)
    return Crop(round((width - side) / 2), round((height - side) / 2), side, False)


def apply_crop(video: Tensor, crop: Crop, size: int) -> Tensor:
    """Cut, resize and mirror.

    Args:
        video: (3, T, H, W) uint8; three times faster if (T, H, W, 3) in memory.
        crop: inside the frames.
        size: side of the result, in pixels.

    Returns:
        (3, T, size, size) uint8, bilinear with antialiasing, as Pillow resizes; several
        frames are in the memory layout of `video`.
    """
    images = video[..., *crop.part].transpose(0, 1)  # (T, 3, side, side)
    images = _resized(images, size)
    if crop.flip:
        images = images.flip(-1)
    return images.transpose(0, 1)  # (3, T, size, size)


def _resized(images: Tensor, size: int) -> Tensor:
    """Squares (T, 3, side, side) of another side, uint8."""
    if images.shape[-1] == size:
        return images
    given = images
    if images.device.type != "cpu":  # where PyTorch resizes no bytes
        given = images.float()
    resized = F.interpolate(
        given, (size, size), mode="bilinear", align_corners=False, antialias=True
    )
    return resized if resized.dtype == torch.uint8 else resized.round_().byte()


def test_crop(video: Tensor, size: int) -> Tensor:
    """The largest centred square: (3, T, H, W) to (3, T, size, size), both uint8."""
    return apply_crop(video, centre_crop(*video.shape[-2:]), size)


def normalise(video: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Scale pixels to zero mean and unit variance, on the video's device.

    Args:
        video: (..., 3, T, H, W) uint8.
        mean: of each channel, where 255 is 1.
        std: of each channel, where 255 is 1.

    Returns:
        (..., 3, T, H, W) float32, in the memory layout of `video`.
    """
    scale = [1 / (255 * s) for s in std]
    shift = [-m / s for m, s in zip(mean, std, strict=True)]
    factors = torch.tensor([scale, shift], dtype=torch.float32)
    factors = factors.to(video.device, non_blocking=True)
    factors = factors[:, :, None, None, None]  # (2, 3, 1, 1, 1)
    return video.to(torch.float32, copy=True).mul_(factors[0]).add_(factors[1])
