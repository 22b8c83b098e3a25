"""Trained detectors, rebuilt from their checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssdet.config import CoarseConfig, CoarseFineConfig, EndToEndConfig, ModelConfig
from ssdet.models import (
    CoarseFine,
    EndToEnd,
    SlowFast,
    X3DDetector,
    build_coarse,
    build_coarse_fine,
    build_detector,
    build_end_to_end,
    build_slowfast,
)
from ssdet.stage import StageError
from ssdet.train.checkpoint import load_checkpoint, rebuilding
from ssdet.train.execution import place

Detector = X3DDetector | CoarseFine | EndToEnd | SlowFast
STAGES = ("fine", "coarse", "slow", "coarse_fine", "slowfast", "end_to_end")
PRETRAINED = "pretrain"  # this stage's network has outputs of another data set


def load_detector(
    path: Path,
    classes: Sequence[str],
    sections: Mapping[str, str],
    device: torch.device,
    stages: Sequence[str] = STAGES,
) -> tuple[Detector, dict[str, Any]]:
    """Rebuild the network of a checkpoint, in evaluation mode.

    Args:
        path: its checkpoint.
        classes: the data set's, which must be the checkpoint's; one that is only
            pretrained has its own.
        sections: config sections (JSON) by name that must be those it was trained
            with, since the network sees its video through them; of one that is only
            pretrained, `spatial` alone.
        device: where to put it.
        stages: of which the checkpoint may be.

    Returns:
        The network and the checkpoint.

    Raises:
        StageError: the checkpoint is of another stage, class list or configuration.
    """
    checkpoint = load_checkpoint(path)
    stage, config = checkpoint["stage"], checkpoint["config"]
    if stage not in stages:
        raise StageError(f"{path} is a checkpoint of {stage}, which has no detector")
    if stage == PRETRAINED:
        sections = {"spatial": sections["spatial"]}
    else:
        refuse_other_classes(path, checkpoint, classes)
    for name, text in sections.items():
        if json.loads(text) != config.get(name):
            raise StageError(
                f"{path} was trained with {name} = {json.dumps(config.get(name))}, the"
                f" configuration has {text}; train it again"
            )
    with rebuilding(path):
        model = _rebuilt(stage, config, len(checkpoint["classes"]))
        model.load_state_dict(checkpoint["weights"])
    place(model, device)
    return model.eval(), checkpoint


def _rebuilt(stage: str, config: Mapping[str, Any], classes: int) -> Detector:
    """The network that a checkpoint describes, without its weights."""
    model = ModelConfig.model_validate(config["model"])
    if stage in ("fine", "slow", PRETRAINED):
        return build_detector(model, classes)
    if stage == "coarse":
        return build_coarse(
            model, CoarseConfig.model_validate(config["coarse"]), classes
        )
    if stage == "slowfast":
        return build_slowfast(model, classes)
    if stage == "end_to_end":
        joint = EndToEndConfig.model_validate(config["end_to_end"])
        return build_end_to_end(model, joint, classes, config["pool"])
    fusion = CoarseFineConfig.model_validate(config["coarse_fine"])
    return build_coarse_fine(model, fusion, classes)


def fine_weights(
    path: Path, flag: str, classes: Sequence[str], sections: Mapping[str, str]
) -> dict[str, Tensor]:
    """Weights of a single stream on all sampled frames, for a network it is part of.

    Args:
        path: its checkpoint.
        flag: that named it, for the message.
        classes: as for `load_detector`.
        sections: as for `load_detector`.

    Raises:
        StageError: the checkpoint is of another stage, class list or configuration.
    """
    model, checkpoint = load_detector(path, classes, sections, torch.device("cpu"))
    if checkpoint["stage"] != "fine":
        raise StageError(
            f"{path} ({flag}) is a checkpoint of {checkpoint['stage']}; this stream is"
            " a single one on all sampled frames, of train_fine"
        )
    return model.state_dict()


def refuse_other_classes(
    path: Path, checkpoint: Mapping[str, Any], classes: Sequence[str]
) -> None:
    """See that a checkpoint is of these classes.

    Raises:
        StageError: it is not.
    """
    if checkpoint["classes"] != list(classes):
        raise StageError(
            f"{path} has {len(checkpoint['classes'])} classes"
            f" ({', '.join(checkpoint['classes'][:3])}, …), the data set has"
            f" {len(classes)} ({', '.join(classes[:3])}, …); train it on this data set"
        )
