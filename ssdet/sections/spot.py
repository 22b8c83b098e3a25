"""SPOT: semi-supervised detection of segments."""

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

from ssdet.sections.base import (
    FilePath,
    Fraction,
    Name,
    OptimizerConfig,
    Pretext,
    Section,
    warmup_ends_in_time,
    without_null,
)


class SpotNetwork(Section):
    """SPOT's network."""

    compat: Literal["fixed", "reference"]
    snippets: PositiveInt
    channels: PositiveInt
    heads: PositiveInt
    positions: bool
    mask_hidden: PositiveInt
    dropout_attention: Annotated[float, Field(ge=0, lt=1)]
    dropout_out: Annotated[float, Field(ge=0, lt=1)]
    order_blocks: Annotated[int, Field(ge=2)]

    @model_validator(mode="after")
    def _blocks_are_equal(self) -> Self:
        if self.snippets % self.order_blocks:
            raise ValueError(
                f"spot.network.snippets ({self.snippets}) must be a multiple of"
                f" spot.network.order_blocks ({self.order_blocks})"
            )
        return self


class SpotWindows(Section):
    """Long videos in parts."""

    overlap: Annotated[float, Field(ge=0, lt=1)]
    inside: Annotated[float, Field(gt=0, le=1)]


class SpotFeatures(Section):
    """What SPOT's snippets are made of."""

    source: Literal["store", "files"]
    stage: Literal["pretrain", "fine"]
    pretext: Pretext
    map: Literal["layer1", "layer2", "layer3", "layer4", "conv5"]
    width: PositiveInt
    length: PositiveInt | None
    windows: SpotWindows | None


class SpotFeaturesConfig(SpotFeatures):
    """Also where features lie that others made."""

    folders: dict[Name, FilePath]
    tables: dict[Name, FilePath]

    def without_paths(self) -> dict[str, Any]:
        """The values that can change a number."""
        return self.model_dump(mode="json", exclude={"folders", "tables"})


class SpotLabels(Section):
    """Which training videos keep their labels."""

    split_files: dict[Name, FilePath]
    seed: NonNegativeInt


class SpotLosses(Section):
    """The weights of SPOT's losses."""

    class_weight: NonNegativeFloat
    entropy_share: Fraction
    focal: Literal["element", "batch"]
    reconstruction: NonNegativeFloat
    drop_snippets: Annotated[float, Field(ge=0, lt=1)]
    contrast: NonNegativeFloat
    temperature: PositiveFloat
    hide_easy: Annotated[float, Field(ge=0, lt=1)]


class SpotOptimizer(OptimizerConfig):
    """What both stages of SPOT say of their optimiser."""

    epochs: PositiveInt
    warmup_epochs: NonNegativeFloat
    drop_epochs: tuple[PositiveFloat, ...]
    keep: Literal["last", "best"]


class SpotPretrain(SpotOptimizer):
    """SPOT's pretext tasks."""

    two_spans: Fraction
    normalise: bool
    mask: NonNegativeFloat
    reconstruction: NonNegativeFloat
    order: NonNegativeFloat

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        warmup_ends_in_time("spot.pretrain", self.warmup_epochs, self.epochs)
        return self


class SpotTrain(SpotOptimizer):
    """Training on videos with and without labels."""

    init: FilePath
    unlabelled: bool
    unlabelled_batch_size: PositiveInt
    teacher: Literal["average", "student"]
    teacher_decay: Annotated[float, Field(ge=0, lt=1)]
    sure_class: Fraction
    sure_mask: tuple[Fraction, Fraction]
    pseudo_weight: NonNegativeFloat
    ramp_epochs: NonNegativeFloat
    weak_dropout: Annotated[float, Field(ge=0, lt=1)]
    flip: Fraction
    shift_divisor: PositiveInt
    drop_shifted: Annotated[float, Field(ge=0, lt=1)]
    drop_flipped: Annotated[float, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        warmup_ends_in_time("spot.train", self.warmup_epochs, self.epochs)
        return self

    @model_validator(mode="after")
    def _band_is_ordered(self) -> Self:
        if self.sure_mask[0] > self.sure_mask[1]:
            raise ValueError(
                f"spot.train.sure_mask {list(self.sure_mask)} must not fall: surely"
                " background at or below the first, surely action from the second on"
            )
        return self


class SpotDetect(Section):
    """Segments from masks."""

    top_snippets: PositiveInt
    mask_thresholds: tuple[Fraction, ...]
    min_snippets: PositiveInt
    sigma: PositiveFloat
    max_per_video: PositiveInt


class SpotDetectConfig(SpotDetect):
    """Also where another program's classes of whole videos are."""

    external_scores: dict[Name, FilePath]

    def without_paths(self) -> dict[str, Any]:
        """The values that can change a number."""
        return self.model_dump(mode="json", exclude={"external_scores"})


class SpotFrameLabels(Section):
    """What a detector is sure of, as labels over time."""

    sure_class: Fraction
    sure_mask: Fraction


class SpotVariant(Section):
    """What another way of training changes; null: as in the sections themselves."""

    init: Annotated[str, Field(min_length=1)] | None
    unlabelled: bool | None
    contrast: NonNegativeFloat | None


class SpotReport(Section):
    """The table of SPOT's results."""

    datasets: tuple[Name, ...]
    labels: Annotated[
        tuple[Annotated[int, Field(ge=1, le=100)], ...], Field(min_length=1)
    ]
    variants: tuple[Name, ...]
    tiou: Literal["activitynet", "thumos14"]


class SpotConfig(Section):
    """Semi-supervised detection of segments."""

    network: SpotNetwork
    features: SpotFeaturesConfig
    labels: SpotLabels
    losses: SpotLosses
    pretrain: SpotPretrain
    train: SpotTrain
    detect: SpotDetectConfig
    frame_labels: SpotFrameLabels
    variants: dict[Name, SpotVariant]
    report: SpotReport

    @field_validator("variants", mode="before")
    @classmethod
    def _null_removes(cls, entries: Any) -> Any:
        """An override takes a variant of another file away by saying null."""
        return without_null(entries)

    def training(self, variant: str) -> SpotTrain:
        """The section `train` of a variant; of none for an empty name."""
        if not variant:
            return self.train
        other = self.variants[variant]
        changes = {"init": other.init, "unlabelled": other.unlabelled}
        given = {key: value for key, value in changes.items() if value is not None}
        return self.train.model_copy(update=given)

    def weights(self, variant: str) -> SpotLosses:
        """The section `losses` of a variant; of none for an empty name."""
        contrast = self.variants[variant].contrast if variant else None
        if contrast is None:
            return self.losses
        return self.losses.model_copy(update={"contrast": contrast})

    @model_validator(mode="after")
    def _reported_variants_are_known(self) -> Self:
        unknown = sorted(set(self.report.variants) - set(self.variants))
        if unknown:
            raise ValueError(
                f"spot.report.variants names {', '.join(unknown)}, which is not one of"
                f" spot.variants: {', '.join(sorted(self.variants)) or 'none'}"
            )
        return self

    @model_validator(mode="after")
    def _reference_is_as_published(self) -> Self:
        if self.network.compat == "fixed":
            return self
        if self.network.positions:
            raise ValueError(
                "spot.network.compat reference needs spot.network.positions false"
            )
        if self.features.width != self.network.channels:
            raise ValueError(
                "spot.network.compat reference needs spot.network.channels"
                f" ({self.network.channels}) to be spot.features.width"
                f" ({self.features.width})"
            )
        return self
