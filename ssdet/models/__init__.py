"""Networks: built here from config sections, defined in one file each."""

from __future__ import annotations

from typing import TypedDict

from torch import nn

from ssdet.config import (
    CoarseConfig,
    CoarseFineConfig,
    EndToEndConfig,
    ModelConfig,
    SpotNetwork,
)
from ssdet.models.coarse_fine import CoarseFine
from ssdet.models.detector import X3DDetector
from ssdet.models.end_to_end import EndToEnd
from ssdet.models.frame_head import Mode
from ssdet.models.initial import initialise
from ssdet.models.slowfast import SlowFast
from ssdet.models.spot import Spot

__all__ = [
    "CoarseFine",
    "EndToEnd",
    "SlowFast",
    "Spot",
    "X3DDetector",
    "build_coarse",
    "build_coarse_fine",
    "build_detector",
    "build_end_to_end",
    "build_slowfast",
    "build_spot",
    "count_parameters",
]


def build_detector(model: ModelConfig, classes: int, mode: Mode = "loc") -> X3DDetector:
    """Build the single-stream detector with fresh weights.

    Args:
        model: the config section.
        classes: K.
        mode: `loc` for logits of each frame, `class` for logits of the clip.
    """
    detector = X3DDetector(**_sizes(model, classes), mode=mode)
    initialise(detector)
    return detector


def build_coarse_fine(
    model: ModelConfig, coarse_fine: CoarseFineConfig, classes: int
) -> CoarseFine:
    """Build the Coarse-Fine network with fresh weights.

    Args:
        model: the config section of trunk and fine stream.
        coarse_fine: the config section of its training.
        classes: N.
    """
    network = CoarseFine(
        **_sizes(model, classes),
        fine_frames=coarse_fine.fine_frames,
        compat=coarse_fine.compat,
        unpool=coarse_fine.unpool,
        film_init=coarse_fine.film_init,
    )
    initialise(network)
    return network


def build_coarse(model: ModelConfig, coarse: CoarseConfig, classes: int) -> CoarseFine:
    """Build the coarse stream alone, Grid Pool without fusion, with fresh weights.

    Args:
        model: the config section of the trunk.
        coarse: the config section of its training.
        classes: N.
    """
    network = CoarseFine(
        **_sizes(model, classes),
        fine_frames=coarse.frames,
        compat=coarse.compat,
        unpool=coarse.unpool,
        film_init="default",
        fusion=False,
    )
    initialise(network)
    return network


def build_end_to_end(
    model: ModelConfig, end_to_end: EndToEndConfig, classes: int, pool: int
) -> EndToEnd:
    """Build Coarse-Fine with its fine stream inside, with fresh weights.

    Args:
        model: the config section of both streams; the fine one has no dropout.
        end_to_end: the config section of their training.
        classes: N.
        pool: rows and columns of the fine stream's maps.
    """
    coarse = CoarseFine(
        **_sizes(model, classes),
        fine_frames=end_to_end.test_fine_frames,
        compat=end_to_end.compat,
        unpool=end_to_end.unpool,
        film_init=end_to_end.film_init,
    )
    initialise(coarse)
    fine = build_detector(model.model_copy(update={"dropout": 0.0}), classes)
    return EndToEnd(coarse, fine, pool)


def build_slowfast(model: ModelConfig, classes: int) -> SlowFast:
    """Build SlowFast_det with fresh weights.

    Args:
        model: the config section, of both streams.
        classes: N.
    """
    network = SlowFast(**_sizes(model, classes))
    initialise(network)
    return network


def count_parameters(model: nn.Module) -> int:
    """How many numbers of `model` are trained."""
    return sum(parameter.numel() for parameter in model.parameters())


def build_spot(network: SpotNetwork, inputs: int, classes: int) -> Spot:
    """Build the SPOT network with fresh weights.

    Args:
        network: the config section.
        inputs: channels of the features.
        classes: K, without background.
    """
    return Spot(
        inputs=inputs,
        channels=network.channels,
        classes=classes,
        snippets=network.snippets,
        heads=network.heads,
        mask_hidden=network.mask_hidden,
        dropout_attention=network.dropout_attention,
        dropout_out=network.dropout_out,
        order_blocks=network.order_blocks,
        positions=network.positions,
        compat=network.compat,
    )


class _Sizes(TypedDict):
    """What every detector on video is told of its size."""

    depth_factor: float
    width_factor: float
    head_width: int
    classes: int
    dropout: float


def _sizes(model: ModelConfig, classes: int) -> _Sizes:
    return {
        "depth_factor": model.depth_factor,
        "width_factor": model.width_factor,
        "head_width": model.head_width,
        "classes": classes,
        "dropout": model.dropout,
    }
