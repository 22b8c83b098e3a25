"""Multiply-adds of a network's convolutions and matrix products.

The unit of the papers: they call one multiply-add a FLOP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ssdet.models.fusion import NATIVE


def multiply_adds(model: nn.Module, *inputs: Any) -> dict[str, int]:
    """Count one forward pass.

    Args:
        model: put it and the inputs on the meta device to count without computing.
        inputs: what the model takes.

    Returns:
        Multiply-adds of each part, by its name in the model; of all, under "".
    """
    counter = FlopCounterMode(display=False)
    training = model.training
    model.eval()
    with torch.no_grad(), counter:
        model(*inputs)
    model.train(training)
    root = type(model).__name__
    counts = {"": int(counter.get_total_flops()) // 2}
    for path, operators in counter.get_flop_counts().items():
        if path.startswith(f"{root}."):
            counts[path.removeprefix(f"{root}.")] = int(sum(operators.values())) // 2
    return counts


def fusion_at_native_size(
    widths: Sequence[int],
    conv5_width: int,
    classes: int,
    fine_frames: int,
    coarse_frames: int,
) -> int:
    """Multiply-adds of fusion in the papers' count.

    Our fusion works on 7 x 7 maps. The reference computes the same on maps as large as
    each stage's, which is what the published numbers count, without the sums over time.

    Args:
        widths: channels of the four stages.
        conv5_width: channels of conv5.
        classes: N.
        fine_frames: T'.
        coarse_frames: K.

    Returns:
        Multiply-adds for one clip of the reference's input size, 224 x 224.
    """
    total = 0
    for stage, width in enumerate(widths):
        area = (NATIVE >> stage) ** 2
        attention = (width**2 + width) * fine_frames
        shift_and_scale = 4 * width**2 * coarse_frames
        mix = 2 * sum(widths) * width * coarse_frames
        total += (attention + shift_and_scale + mix) * area
    attention = (conv5_width**2 + conv5_width) * fine_frames * 7**2
    logits = 2 * (conv5_width**2 + conv5_width * classes) * coarse_frames
    return total + attention + logits
