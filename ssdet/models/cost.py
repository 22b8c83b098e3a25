"""Parameters of the networks, and multiply-adds of their convolutions and products.

The unit of the papers: they call one multiply-add a FLOP. Nothing is computed: the
networks are built without memory, on PyTorch's meta device.

Source: spec of Coarse-Fine, section 11.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ssdet.config import ModelConfig
from ssdet.models import (
    CoarseFine,
    SlowFast,
    X3DDetector,
    count_parameters,
    grid_pool,
    lateral,
)
from ssdet.models.fusion import NATIVE

FRAMES = 128  # of the clip, in all streams, as in the papers' figures
PAPERS_CROP = 224  # pixels; the reference's fusion has one size of maps for each depth


@dataclass(frozen=True)
class Cost:
    """What one clip takes.

    Attributes:
        parameters: numbers that training set, in this stage or one before.
        multiply_adds: of this program.
        as_published: multiply-adds as the papers count them, with fusion at the
            reference's size; None where that is not defined.
    """

    parameters: int
    multiply_adds: int
    as_published: int | None

    def __add__(self, other: Cost) -> Cost:
        counts = (self.as_published, other.as_published)
        return Cost(
            self.parameters + other.parameters,
            self.multiply_adds + other.multiply_adds,
            None if None in counts else sum(count or 0 for count in counts),
        )


def network_costs(
    model: ModelConfig, classes: int, crop: int, pool: int
) -> dict[str, Cost]:
    """Costs of the parts that detectors consist of, for one clip of `FRAMES` frames.

    Args:
        model: the config section.
        classes: N.
        crop: rows and columns of the video, pixels.
        pool: rows and columns of cached fine features.

    Returns:
        `backbone` and `head` of a single stream on all frames; `read`, the part of
        `head` before its classifier, which temporal heads read; `slow`, a whole single
        stream on every 4th frame; `coarse`, the coarse stream alone; `fused`, the same
        with fusion, without the fine stream it reads the features of; `slowfast`, both
        streams.
    """
    sizes: dict[str, Any] = {**model.model_dump(), "classes": classes}
    with torch.device("meta"):
        video = torch.empty(1, 3, FRAMES, crop, crop)
        single = X3DDetector(**sizes, mode="loc")
        counts = multiply_adds(single, video)
        backbone = _same(single.backbone, counts["backbone"])
        head = _same(single.head, counts["head"])
        slow = _same(single, multiply_adds(single, video[:, :, :: lateral.RATIO])[""])
        slowfast = SlowFast(**sizes)
        return {
            "backbone": backbone,
            "head": head,
            "read": _same(single.head.fc1, counts["head.fc1"]),
            "slow": slow,
            "slowfast": _same(slowfast, multiply_adds(slowfast, video)[""]),
            **_coarse_costs(sizes, video, pool),
        }


def _same(part: nn.Module, count: int) -> Cost:
    """A part that the papers count as we do."""
    return Cost(count_parameters(part), count, count)


def _coarse_costs(sizes: dict[str, Any], video: Tensor, pool: int) -> dict[str, Cost]:
    """The coarse stream alone, and with fusion on features of as many frames."""
    options: dict[str, Any] = {
        "fine_frames": FRAMES,
        "compat": "fixed",
        "unpool": "resize",
        "film_init": "default",
    }
    alone = CoarseFine(**sizes, **options, fusion=False)
    coarse = _same(alone, multiply_adds(alone, video)[""])
    model = CoarseFine(**sizes, **options)
    backbone = model.trunk.backbone
    features = {
        name: torch.empty(1, channels, FRAMES, pool, pool)
        for name, channels in backbone.feature_channels.items()
    }
    mask, start = torch.empty(1, FRAMES), torch.empty(1)
    count = multiply_adds(model, video, features, mask, start)[""]
    as_published = None
    if video.shape[3] == PAPERS_CROP:
        as_published = coarse.multiply_adds + fusion_at_native_size(
            backbone.widths,
            backbone.conv5_width,
            sizes["classes"],
            FRAMES,
            FRAMES // grid_pool.RATIO + 1,
        )
    fused = Cost(count_parameters(model), count, as_published)
    return {"coarse": coarse, "fused": fused}


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
