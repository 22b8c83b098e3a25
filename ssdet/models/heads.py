"""Temporal heads, built from their config."""

from __future__ import annotations

from ssdet.config import (
    HeadNetwork,
    LinearHeadConfig,
    PdanConfig,
    SuperEventsConfig,
    TgmConfig,
)
from ssdet.models.linear_head import LinearHead
from ssdet.models.ms_tct import MsTct
from ssdet.models.pdan import Pdan
from ssdet.models.super_events import SuperEvents
from ssdet.models.temporal_gaussian_mixture import TgmHead

Head = LinearHead | SuperEvents | TgmHead | Pdan | MsTct


def build_head(network: HeadNetwork, width: int, classes: int) -> Head:
    """Build a head with fresh weights.

    Args:
        network: its part of the config section.
        width: D of the features.
        classes: C.
    """
    if isinstance(network, LinearHeadConfig):
        return LinearHead(width=width, classes=classes, dropout=network.dropout)
    if isinstance(network, SuperEventsConfig):
        return SuperEvents(
            width=width,
            classes=classes,
            filters=network.filters,
            merge=network.merge,
            dropout=network.dropout,
            padding=network.padding,
        )
    if isinstance(network, TgmConfig):
        return TgmHead(
            width=width,
            classes=classes,
            channels=network.channels,
            gaussians=network.gaussians,
            length=network.length,
            kernel=network.kernel,
            hidden=network.hidden,
            filters=network.filters,
            dropout=network.dropout,
            padding=network.padding,
        )
    if isinstance(network, PdanConfig):
        return Pdan(
            width=width,
            classes=classes,
            channels=network.channels,
            blocks=network.blocks,
            stages=network.stages,
            dropout=network.dropout,
            padding=network.padding,
        )
    return MsTct(
        width=width,
        classes=classes,
        widths=network.widths,
        blocks=network.blocks,
        heads=network.heads,
        ratio=network.ratio,
        mixed=network.mixed,
        dropout=network.dropout,
    )
