"""Networks on frames: how they see videos, how they are trained, what they write."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from ssdet.sections.base import (
    Fraction,
    OptimizerConfig,
    Section,
    warmup_ends_in_time,
    whole_groups,
)


class ModelConfig(Section):
    """X3D, by its two factors (spec: X3D layout)."""

    depth_factor: PositiveFloat
    width_factor: PositiveFloat
    head_width: PositiveInt
    dropout: Annotated[float, Field(ge=0, lt=1)]


class SpatialConfig(Section):
    """Crops."""

    crop: PositiveInt
    train_short_sides: tuple[PositiveInt, PositiveInt]
    flip: Fraction

    @model_validator(mode="after")
    def _short_sides_hold_the_crop(self) -> Self:
        if min(self.train_short_sides) < self.crop:
            raise ValueError(
                f"spatial.train_short_sides {list(self.train_short_sides)} must not be"
                f" below spatial.crop ({self.crop})"
            )
        return self


class SamplingConfig(Section):
    """Which frames the detectors see."""

    stride: PositiveInt


class MultigridConfig(Section):
    """Batches of changing shape."""

    long_cycle: bool
    short_cycle: bool


class PretrainConfig(OptimizerConfig):
    """Detection pretraining on the classification set."""

    init: str | None
    frames: PositiveInt
    stride: PositiveInt
    bn_group: PositiveInt
    steps: PositiveInt
    warmup_steps: NonNegativeInt
    drop_steps: tuple[PositiveInt, ...]
    multigrid: MultigridConfig
    copy_rows: bool

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        if self.warmup_steps >= self.steps:
            raise ValueError(
                f"pretrain.warmup_steps ({self.warmup_steps}) must be below"
                f" pretrain.steps ({self.steps})"
            )
        whole_groups("pretrain", self.batch_size, self.bn_group)
        for key in ("frozen_norm", "copy_rows"):
            if getattr(self, key) and self.init is None:
                raise ValueError(
                    f"pretrain.{key} needs weights to start from: set pretrain.init, or"
                    f" {key} to false"
                )
        return self


class PretrainWithLabels(PretrainConfig):
    """Also where labels over time lie: a file, no value that a stage is told."""

    frame_labels: Annotated[str | None, Field(exclude=True)]


class EpochsConfig(OptimizerConfig):
    """A stage on frames that counts epochs."""

    section: ClassVar[str]

    frames: PositiveInt
    bn_group: PositiveInt
    epochs: PositiveInt
    warmup_epochs: NonNegativeFloat
    drop_epochs: tuple[PositiveFloat, ...]
    clips_per_video: PositiveInt

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        warmup_ends_in_time(self.section, self.warmup_epochs, self.epochs)
        whole_groups(self.section, self.batch_size, self.bn_group)
        return self


class FineConfig(EpochsConfig):
    """Fine-tuning of the single-stream detector."""

    section = "fine"


class FeaturesConfig(Section):
    """Cached features of the fine stream."""

    pool: PositiveInt
    dtype: Literal["float16", "float32"]
    compression: Literal["lzf", "gzip"] | None


class CoarseFineConfig(EpochsConfig):
    """Training of the coarse stream on cached fine features."""

    section = "coarse_fine"

    fine_frames: PositiveInt
    fusion_rate_factor: PositiveFloat
    compat: Literal["fixed", "reference"]
    unpool: Literal["resize", "direct"]
    film_init: Literal["default", "identity"]
    keep: Literal["last", "best"]


class EndToEndConfig(EpochsConfig):
    """Training of the coarse stream and the fine one together."""

    section = "end_to_end"

    fine_frames: PositiveInt
    test_fine_frames: PositiveInt
    fine_loss_weight: NonNegativeFloat
    fusion_rate_factor: PositiveFloat
    compat: Literal["fixed", "reference"]
    unpool: Literal["resize", "direct"]
    film_init: Literal["default", "identity"]
    keep: Literal["last", "best"]

    @model_validator(mode="after")
    def _tested_with_no_fewer(self) -> Self:
        if self.test_fine_frames < self.fine_frames:
            raise ValueError(
                f"end_to_end.test_fine_frames ({self.test_fine_frames}) must not be"
                f" below end_to_end.fine_frames ({self.fine_frames})"
            )
        return self


class CoarseConfig(EpochsConfig):
    """Training of the coarse stream alone, without fusion."""

    section = "coarse"

    compat: Literal["fixed", "reference"]
    unpool: Literal["resize", "direct"]
    keep: Literal["last", "best"]


class SlowConfig(EpochsConfig):
    """Fine-tuning of a single-stream detector on every 4th frame."""

    section = "slow"


class SlowFastConfig(EpochsConfig):
    """Training of the slow stream of SlowFast_det, joined by a frozen fast one."""

    section = "slowfast"

    fusion_rate_factor: PositiveFloat
    keep: Literal["last", "best"]


class ValidationConfig(Section):
    """Training videos set aside for choosing, never trained on."""

    fraction: Annotated[float, Field(ge=0, lt=1)]


class PredictConfig(Section):
    """How clip-rate logits are laid over time."""

    alignment: Literal["corners", "time"]
