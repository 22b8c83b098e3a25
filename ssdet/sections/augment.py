"""The volume augmentations of the pretext tasks."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from ssdet.sections.base import Fraction, Section


class FreezeConfig(Section):
    """Volume Freeze."""

    min_length: PositiveInt
    max_fraction: Fraction
    segments: PositiveInt


class MixUpConfig(Section):
    """Volume MixUp."""

    covering: bool
    shift: bool
    symmetric: bool


class CutMixConfig(Section):
    """Volume CutMix."""

    kind: Literal["view", "window", "either"]
    covering: bool


class JointConfig(Section):
    """Several augmentations in one network."""

    probability: Fraction
    per: Literal["batch", "clip"]


class AugmentConfig(Section):
    """The volume augmentations and the loss on their labels."""

    background: Literal["class", "ignore"]
    normalisation: Literal["visible", "mean"]
    freeze: FreezeConfig
    mixup: MixUpConfig
    cutmix: CutMixConfig
    joint: JointConfig
