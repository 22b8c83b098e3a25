"""How networks are run on a device."""

from __future__ import annotations

import ctypes
import os

import torch
from torch import Tensor, nn

from ssdet.models.pieces import set_frames_at_once

# Of a whole video in X3D-M, crops of 224, float32: 2.3 MB then for each frame, 6.4 MB
# for all at once. So 1 GB for the longest video of Charades (466), 10 GB for 4,184.
FRAMES_AT_ONCE = 32
PRECISIONS = ("auto", "bf16", "fp32")
TRIM_THRESHOLD, MMAP_MAX = -1, -4  # glibc's numbers of what mallopt sets


def autocast(device: torch.device, precision: str = "auto") -> torch.autocast:
    """Run matrix products and convolutions in bf16, or not.

    Args:
        device: where they run.
        precision: one of PRECISIONS; `auto` is bf16 on GPUs, fp32 on CPUs.
    """
    half = precision == "bf16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=half)


def place(model: nn.Module, device: torch.device) -> None:
    """Move a network to a device, its kernels in the layout of `channels_last`.

    In evaluation its wide layers see FRAMES_AT_ONCE frames at a time.
    """
    model.to(device)
    model.to(memory_format=torch.channels_last_3d)
    set_frames_at_once(model, FRAMES_AT_ONCE)


def channels_last(video: Tensor) -> Tensor:
    """The memory layout in which depthwise convolutions are fast."""
    return video.contiguous(memory_format=torch.channels_last_3d)


def keep_freed_memory() -> bool:
    """Let glibc keep what is freed, for what is allocated next.

    By default it goes back to the system, and each large map comes in pages that must
    be cleared first. Without that a step on a CPU takes a fifth less time at full size,
    and the process some 10 % more memory.

    Returns:
        Whether it could: not with another C library, nor where the environment sets
        glibc's allocator.
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, -1))
