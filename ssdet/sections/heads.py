"""Temporal heads on cached features."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from ssdet.sections.base import Dropout, FilePath, Name, Section, without_null

OTHERS = "others"  # of `head.heads.<name>.training`: the data sets not named there


class LinearHeadConfig(Section):
    """Every step by itself."""

    kind: Literal["linear"]
    dropout: Dropout


class SuperEventsConfig(Section):
    """Super-Events."""

    kind: Literal["super_events"]
    filters: PositiveInt
    merge: Literal["max", "concat"]
    dropout: Dropout
    padding: Literal["fixed", "reference"]


class TgmConfig(Section):
    """Three Temporal Gaussian Mixture layers, with a super-event term or without."""

    kind: Literal["tgm"]
    channels: PositiveInt
    gaussians: PositiveInt
    length: PositiveInt
    kernel: Literal["cauchy", "gaussian"]
    hidden: PositiveInt
    filters: PositiveInt | None
    dropout: Dropout
    padding: Literal["fixed", "reference"]


class PdanConfig(Section):
    """PDAN."""

    kind: Literal["pdan"]
    channels: PositiveInt
    blocks: PositiveInt
    stages: PositiveInt
    dropout: Dropout
    padding: Literal["fixed", "reference"]


class MsTctConfig(Section):
    """MS-TCT."""

    kind: Literal["ms_tct"]
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    blocks: PositiveInt
    heads: PositiveInt
    ratio: PositiveInt
    mixed: PositiveInt
    dropout: Dropout
    heat_map_weight: NonNegativeFloat
    heat_map_pairing: Literal["own", "all"]

    @model_validator(mode="after")
    def _heads_share_evenly(self) -> Self:
        uneven = [width for width in self.widths if width % self.heads]
        if uneven:
            raise ValueError(
                f"heads ({self.heads}) must divide all of widths, not {uneven}"
            )
        return self


HeadNetwork = Annotated[
    LinearHeadConfig | SuperEventsConfig | TgmConfig | PdanConfig | MsTctConfig,
    Field(discriminator="kind"),
]


class HeadTraining(Section):
    """The schedule of a head on a data set."""

    batch_size: PositiveInt
    learning_rate: PositiveFloat
    epochs: PositiveInt
    drop_factor: Annotated[float, Field(gt=0, lt=1)]
    patience: NonNegativeInt


class HeadOptimizer(Section):
    """What all heads' optimisers have in common."""

    optimizer: Literal["sgd", "adamw"]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: NonNegativeFloat
    clip_norm: PositiveFloat | None
    ema: Annotated[float, Field(gt=0, lt=1)] | None


class HeadBase(Section):
    """What a head is and how it is trained, on any data set."""

    network: HeadNetwork
    window: PositiveInt | None
    loss_steps: Literal["real", "all"]
    select_by: Literal["map", "loss"]


class HeadConfig(HeadBase):
    """What the stage train_head reads: a head, for one data set."""

    features: Literal["head", "conv5"]
    watch_test: bool
    optimizer: HeadOptimizer
    training: HeadTraining


class HeadEntry(HeadBase):
    """A head of config.yaml, with its schedules by data set."""

    training: dict[Name, HeadTraining]

    @field_validator("training", mode="before")
    @classmethod
    def _null_removes(cls, entries: Any) -> Any:
        return without_null(entries)

    @field_validator("training")
    @classmethod
    def _others_is_there(
        cls, entries: dict[str, HeadTraining]
    ) -> dict[str, HeadTraining]:
        if OTHERS not in entries:
            raise ValueError(f"{OTHERS} is missing, the schedule of all other sets")
        return entries


class HeadsConfig(Section):
    """The temporal heads on cached features."""

    features: Literal["head", "conv5"]
    external: dict[Name, dict[Name, FilePath]]
    watch_test: bool
    optimizer: HeadOptimizer
    heads: dict[Name, HeadEntry]

    @field_validator("heads", "external", mode="before")
    @classmethod
    def _null_removes(cls, entries: Any) -> Any:
        return without_null(entries)

    def section(self, head: str, dataset: str) -> HeadConfig:
        """What the stage reads of it, for one head and data set."""
        entry = self.heads[head]
        training = entry.training.get(dataset, entry.training[OTHERS])
        return HeadConfig(
            network=entry.network,
            window=entry.window,
            loss_steps=entry.loss_steps,
            select_by=entry.select_by,
            features=self.features,
            watch_test=self.watch_test,
            optimizer=self.optimizer,
            training=training,
        )
