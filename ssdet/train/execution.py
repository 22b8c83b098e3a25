"""How networks are run on a device."""

from __future__ import annotations

import torch
from torch import Tensor


def autocast(device: torch.device) -> torch.autocast:
    """bf16 on GPUs; full precision on CPUs."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def channels_last(video: Tensor) -> Tensor:
    """The memory layout in which depthwise convolutions are fast."""
    return video.contiguous(memory_format=torch.channels_last_3d)
