"""How networks are run on a device."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def autocast(device: torch.device) -> torch.autocast:
    """bf16 on GPUs; full precision on CPUs."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def place(model: nn.Module, device: torch.device) -> None:
    """Move a network to a device, its kernels in the layout of `channels_last`."""
    model.to(device)
    model.to(memory_format=torch.channels_last_3d)


def channels_last(video: Tensor) -> Tensor:
    """The memory layout in which depthwise convolutions are fast."""
    return video.contiguous(memory_format=torch.channels_last_3d)
