"""The sections of config.yaml as strict, frozen types.

Every value lives in `config/config.yaml`; these types and bounds, and the rules between
values, have no defaults. Rules hand whole sections to the stages as JSON. The types lie
in `ssdet/sections`; all others import them from here.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from ssdet.sections.augment import (
    AugmentConfig,
    CutMixConfig,
    FreezeConfig,
    JointConfig,
    MixUpConfig,
)
from ssdet.sections.base import (
    Dropout,
    Fraction,
    Name,
    OptimizerConfig,
    Pretext,
    Section,
    Triple,
    canonical_json,
    without_null,
)
from ssdet.sections.datasets import (
    SPLITS,
    AnnotationFiles,
    DataConfig,
    DatasetConfig,
    DatasetRecipe,
    ExpectedCounts,
    FramesConfig,
    LabelFormat,
    StoredFrames,
    SyntheticConfig,
    VideoCoding,
)
from ssdet.sections.detectors import (
    CoarseConfig,
    CoarseFineConfig,
    EndToEndConfig,
    EpochsConfig,
    FeaturesConfig,
    FineConfig,
    ModelConfig,
    MultigridConfig,
    PredictConfig,
    PretrainConfig,
    PretrainWithLabels,
    SamplingConfig,
    SlowConfig,
    SlowFastConfig,
    SpatialConfig,
    ValidationConfig,
)
from ssdet.sections.heads import (
    OTHERS,
    HeadBase,
    HeadConfig,
    HeadEntry,
    HeadNetwork,
    HeadOptimizer,
    HeadsConfig,
    HeadTraining,
    LinearHeadConfig,
    MsTctConfig,
    PdanConfig,
    SuperEventsConfig,
    TgmConfig,
)
from ssdet.sections.results import (
    ON_TEST,
    CoarseFineModel,
    CoarseModel,
    EndToEndModel,
    FineModel,
    HeadModel,
    Model,
    ReportConfig,
    SeedsConfig,
    SlowFastModel,
    SlowModel,
)
from ssdet.sections.spot import (
    SpotConfig,
    SpotDetect,
    SpotDetectConfig,
    SpotFeatures,
    SpotFeaturesConfig,
    SpotFrameLabels,
    SpotLabels,
    SpotLosses,
    SpotNetwork,
    SpotOptimizer,
    SpotPretrain,
    SpotReport,
    SpotTrain,
    SpotVariant,
    SpotWindows,
)


class StageResources(Section):
    """What one job of a kind of stage may use; never reruns anything."""

    threads: PositiveInt
    gpu: NonNegativeInt
    mem_mb: PositiveInt
    runtime: PositiveInt


class ResourcesConfig(Section):
    """Jobs' sizes."""

    data: StageResources
    train: StageResources
    infer: StageResources
    report: StageResources
    workers: NonNegativeInt
    accumulate: PositiveInt
    activation_checkpointing: bool
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "bf16", "fp32"]
    cpu_kernels: bool
    tensorboard: bool
    checkpoint_seconds: NonNegativeFloat


class Config(Section):
    """The whole of config.yaml."""

    results: Annotated[str, Field(min_length=1)]
    seed: NonNegativeInt
    seeds: SeedsConfig
    classification: Name
    datasets: dict[Name, DatasetConfig]
    data: DataConfig
    frames: FramesConfig
    model: ModelConfig
    spatial: SpatialConfig
    sampling: SamplingConfig
    pretrain: PretrainWithLabels
    augment: AugmentConfig
    validation: ValidationConfig
    fine: FineConfig
    features: FeaturesConfig
    coarse_fine: CoarseFineConfig
    coarse: CoarseConfig
    slow: SlowConfig
    slowfast: SlowFastConfig
    end_to_end: EndToEndConfig
    head: HeadsConfig
    spot: SpotConfig
    predict: PredictConfig
    models: dict[Name, Model]
    ensembles: dict[Name, tuple[Name, ...]]
    report: ReportConfig
    synthetic: SyntheticConfig | None
    resources: ResourcesConfig

    @field_validator("datasets", "models", "ensembles", mode="before")
    @classmethod
    def _null_removes(cls, entries: Any) -> Any:
        """An override takes an entry of another file away by saying null."""
        return without_null(entries)

    @model_validator(mode="after")
    def _heads_are_known(self) -> Self:
        clash = sorted(set(self.head.external) & set(get_args(Pretext)))
        if clash:
            raise ValueError(
                f"head.external names {', '.join(clash)}, which is a pretext task;"
                " call the features otherwise"
            )
        sources = {*get_args(Pretext), *self.head.external}
        for name, model in self.models.items():
            if not isinstance(model, HeadModel):
                continue
            if model.head not in self.head.heads:
                raise ValueError(
                    f"models.{name}.head is {model.head!r}, which is not one of"
                    f" head.heads: {', '.join(sorted(self.head.heads))}"
                )
            if model.pretext not in sources:
                raise ValueError(
                    f"models.{name}.pretext is {model.pretext!r}, which is neither a"
                    " pretext task nor a name in head.external"
                )
            if (model.epoch == ON_TEST) != name.endswith(ON_TEST):
                raise ValueError(
                    f"models.{name}: a model whose epoch is {ON_TEST} must have a name"
                    f" that ends so, and no other may"
                )
            if model.epoch == ON_TEST and not self.head.watch_test:
                raise ValueError(
                    f"models.{name}.epoch is {ON_TEST}, which needs head.watch_test:"
                    " true"
                )
        watched = {n for n in self.models if n.endswith(ON_TEST)}
        for name, members in self.ensembles.items():
            if watched & set(members) and not name.endswith(ON_TEST):
                raise ValueError(
                    f"ensembles.{name} has members selected on the test videos: its"
                    f" name must end with {ON_TEST}"
                )
        return self

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        seeds = [self.seed, *self.seeds.tables]
        if len(set(seeds)) < len(seeds):
            raise ValueError(
                f"seeds.tables names a seed twice, or the first ({self.seed}), which is"
                " always in the tables"
            )
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if self.classification not in self.datasets:
            raise ValueError(
                f"classification is {self.classification!r}, which is not one of"
                f" datasets: {', '.join(sorted(self.datasets))}"
            )
        reported = sorted(set(self.spot.report.datasets) - set(self.datasets))
        if reported:
            raise ValueError(
                f"spot.report.datasets names {', '.join(reported)}, which is not one of"
                f" datasets: {', '.join(sorted(self.datasets))}"
            )
        shares = self.data.max_missing_fraction
        if isinstance(shares, dict) and (others := shares.keys() - self.datasets):
            raise ValueError(
                f"data.max_missing_fraction names {', '.join(sorted(others))}, which is"
                f" not one of datasets: {', '.join(sorted(self.datasets))}"
            )
        for name, members in self.ensembles.items():
            if not members:
                raise ValueError(f"ensembles.{name} has no members")
            unknown = sorted(set(members) - set(self.models))
            if unknown:
                raise ValueError(
                    f"ensembles.{name} names {', '.join(unknown)}, which models: does"
                    f" not define (it has {', '.join(sorted(self.models))})"
                )
            if len(set(members)) < len(members):
                raise ValueError(f"ensembles.{name} names a member twice")
        for stage in ("coarse_fine", "coarse", "slowfast", "end_to_end"):
            if getattr(self, stage).keep == "best" and self.validation.fraction == 0:
                raise ValueError(
                    f"{stage}.keep is best, which needs videos to choose on: set"
                    f" validation.fraction above 0, or {stage}.keep to last"
                )
        clash = sorted(set(self.ensembles) & set(self.models))
        if clash:
            raise ValueError(
                f"{', '.join(clash)} names both a model and an ensemble; results are"
                " called by these names, so each must be used once"
            )
        return self


class ConfigError(ValueError):
    """A bad value in the configuration; the message names its key."""


def load(mapping: dict[str, Any]) -> Config:
    """Check a parsed config.yaml.

    Raises:
        ConfigError: a key is unknown, missing or out of bounds; all are listed.
    """
    try:
        return Config.model_validate(mapping)
    except ValidationError as error:
        raise ConfigError(explain(error)) from None


def explain(error: ValidationError) -> str:
    """One line for each bad key: its dotted name, what is wrong, what was found."""
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "config"
        message = re.sub(r"^Value error, ", "", item["msg"])
        if item["type"] == "extra_forbidden":
            message = "no such key; see config/config.yaml for the keys there are"
        elif item["type"] == "missing":
            message = "missing; config/config.yaml shows it with its meaning"
        elif item["type"] != "value_error":
            message = f"{message}, found {item['input']!r}"
        lines.append(f"  {key}: {message}")
    return "The configuration has errors:\n" + "\n".join(lines)
