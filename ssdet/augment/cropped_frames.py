"""Reads frames and cuts them at once: what is cut away is never copied."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ssdet.augment.spatial import Crop, apply_crop, centre_crop, test_crop
from ssdet.data.frame_store import CPU, FrameStore


def read_crop(
    store: FrameStore,
    video_id: str,
    frames: Sequence[int],
    crop: Crop,
    size: int,
    device: torch.device = CPU,
) -> Tensor:
    """Read frames, cut the same square of each, resize and mirror it.

    Args:
        store: holds the video.
        video_id: the video.
        frames: n of its frames.
        crop: inside the frames.
        size: side of the result, in pixels.
        device: where all is done.

    Returns:
        (3, n, size, size) uint8, as `spatial.apply_crop` of whole frames.
    """
    video = store.read(video_id, frames, device, crop.part)
    return apply_crop(video, Crop(0, 0, crop.side, crop.flip), size)


def read_centre(
    store: FrameStore,
    video_id: str,
    frames: Sequence[int],
    size: int,
    device: torch.device = CPU,
) -> Tensor:
    """As `read_crop`, of the largest square in the middle."""
    info = store.info(video_id)
    crop = centre_crop(info.height, info.width)
    return test_crop(store.read(video_id, frames, device, crop.part), size)
