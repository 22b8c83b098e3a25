"""The sections of config.yaml as strict, frozen types.

Every value lives in `config/config.yaml`; this file holds types, bounds and the rules
between values, and no defaults. Rules hand whole sections to the stages as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=80)]
Pretext = Literal[
    "cls",
    "freeze",
    "mixup",
    "cutmix",
    "joint",
    "joint_single",
    "manifold_freeze",
    "manifold_mixup",
    "manifold_cutmix",
]
Triple = tuple[float, float, float]
SPLITS = ("training", "testing")
OTHERS = "others"  # of `head.heads.<name>.training`: the data sets not named there
ON_TEST = "best_on_test"
Dropout = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A mapping of config.yaml: unknown keys are errors, values never change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=False, allow_inf_nan=False
    )

    def canonical(self) -> str:
        """This section as JSON: sorted keys, so that equal values give equal text."""
        return canonical_json(self.model_dump(mode="json"))


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, the same text for equal values."""
    import json

    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


class AnnotationFiles(Section):
    """The label files of a dataset; both splits may name the same file."""

    training: str
    testing: str
    classes: str | None


class ExpectedCounts(Section):
    """How many videos and classes the label files should list; null: any number."""

    training: PositiveInt | None
    testing: PositiveInt | None
    classes: PositiveInt | None


class LabelFormat(Section):
    """How the labels of a dataset are read."""

    format: Literal[
        "kinetics", "charades", "multithumos", "activitynet", "thumos14", "table"
    ]
    segments: Literal["refuse", "repair"]


class DatasetRecipe(LabelFormat):
    """What of a dataset can change a number: everything but where its files lie."""

    fps: PositiveFloat | None
    mean: Triple
    std: Triple


class DatasetConfig(DatasetRecipe):
    """One dataset: where it lies, how its labels are written, how frames are scaled."""

    videos: str
    annotations: AnnotationFiles
    expected: ExpectedCounts | None

    def without_paths(self) -> dict[str, Any]:
        """The values of the recipe alone."""
        return self.model_dump(mode="json", include=set(DatasetRecipe.model_fields))


class DataConfig(Section):
    """Which losses of videos are allowed."""

    max_missing_fraction: Annotated[
        Annotated[Fraction, Tag("number")]
        | Annotated[dict[Name, Fraction], Tag("datasets")],
        Discriminator(lambda value: "datasets" if type(value) is dict else "number"),
    ]
    exclude: tuple[str, ...]

    def allowed(self, dataset: str) -> float:
        """Share of a dataset's videos that may be lost."""
        if isinstance(self.max_missing_fraction, dict):
            return self.max_missing_fraction.get(dataset, 0.0)
        return self.max_missing_fraction

    def of(self, dataset: str, video_ids: Collection[str]) -> dict[str, Any]:
        """The part of this section that concerns one dataset.

        Args:
            dataset: its name.
            video_ids: all its videos.
        """
        return {
            "max_missing_fraction": self.allowed(dataset),
            "exclude": sorted(set(self.exclude) & set(video_ids)),
        }


class FramesConfig(Section):
    """The packed JPEG frames."""

    short_side: PositiveInt
    jpeg_quality: Annotated[int, Field(ge=1, le=100)]
    shard_videos: PositiveInt


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


class OptimizerConfig(Section):
    """What every training stage says of its optimiser."""

    batch_size: PositiveInt
    optimizer: Literal["sgd", "adam", "adamw"]
    learning_rate: PositiveFloat
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: NonNegativeFloat
    schedule: Literal["step", "one_cycle"]
    drop_factor: Annotated[float, Field(gt=0, lt=1)]
    clip_norm: PositiveFloat | None
    ema: Annotated[float, Field(gt=0, lt=1)] | None
    frozen_norm: bool
    validate_every: PositiveInt


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
        _whole_groups("pretrain", self.batch_size, self.bn_group)
        for key in ("frozen_norm", "copy_rows"):
            if getattr(self, key) and self.init is None:
                raise ValueError(
                    f"pretrain.{key} needs weights to start from: set pretrain.init, or"
                    f" {key} to false"
                )
        return self


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


class FineConfig(OptimizerConfig):
    """Fine-tuning of the single-stream detector."""

    frames: PositiveInt
    bn_group: PositiveInt
    epochs: PositiveInt
    warmup_epochs: NonNegativeFloat
    drop_epochs: tuple[PositiveFloat, ...]
    clips_per_video: PositiveInt

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        _warmup_ends_in_time("fine", self.warmup_epochs, self.epochs)
        _whole_groups("fine", self.batch_size, self.bn_group)
        return self


class FeaturesConfig(Section):
    """Cached features of the fine stream."""

    pool: PositiveInt
    dtype: Literal["float16", "float32"]
    compression: Literal["lzf", "gzip"] | None


class CoarseFineConfig(OptimizerConfig):
    """Training of the coarse stream on cached fine features."""

    frames: PositiveInt
    fine_frames: PositiveInt
    bn_group: PositiveInt
    epochs: PositiveInt
    warmup_epochs: NonNegativeFloat
    drop_epochs: tuple[PositiveFloat, ...]
    fusion_rate_factor: PositiveFloat
    clips_per_video: PositiveInt
    compat: Literal["fixed", "reference"]
    unpool: Literal["resize", "direct"]
    film_init: Literal["default", "identity"]
    keep: Literal["last", "best"]

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        _warmup_ends_in_time("coarse_fine", self.warmup_epochs, self.epochs)
        _whole_groups("coarse_fine", self.batch_size, self.bn_group)
        return self


class CoarseConfig(OptimizerConfig):
    """Training of the coarse stream alone, without fusion."""

    frames: PositiveInt
    bn_group: PositiveInt
    epochs: PositiveInt
    warmup_epochs: NonNegativeFloat
    drop_epochs: tuple[PositiveFloat, ...]
    clips_per_video: PositiveInt
    compat: Literal["fixed", "reference"]
    unpool: Literal["resize", "direct"]
    keep: Literal["last", "best"]

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        _warmup_ends_in_time("coarse", self.warmup_epochs, self.epochs)
        _whole_groups("coarse", self.batch_size, self.bn_group)
        return self


class SlowConfig(OptimizerConfig):
    """Fine-tuning of a single-stream detector on every 4th frame."""

    frames: PositiveInt
    bn_group: PositiveInt
    epochs: PositiveInt
    warmup_epochs: NonNegativeFloat
    drop_epochs: tuple[PositiveFloat, ...]
    clips_per_video: PositiveInt

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        _warmup_ends_in_time("slow", self.warmup_epochs, self.epochs)
        _whole_groups("slow", self.batch_size, self.bn_group)
        return self


class SlowFastConfig(OptimizerConfig):
    """Training of the slow stream of SlowFast_det, joined by a frozen fast one."""

    frames: PositiveInt
    bn_group: PositiveInt
    epochs: PositiveInt
    warmup_epochs: NonNegativeFloat
    drop_epochs: tuple[PositiveFloat, ...]
    fusion_rate_factor: PositiveFloat
    clips_per_video: PositiveInt
    keep: Literal["last", "best"]

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        _warmup_ends_in_time("slowfast", self.warmup_epochs, self.epochs)
        _whole_groups("slowfast", self.batch_size, self.bn_group)
        return self


EpochsConfig = (
    FineConfig | CoarseFineConfig | CoarseConfig | SlowConfig | SlowFastConfig
)


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
        return _without_null(entries)

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
    external: dict[Name, dict[Name, str]]
    watch_test: bool
    optimizer: HeadOptimizer
    heads: dict[Name, HeadEntry]

    @field_validator("heads", "external", mode="before")
    @classmethod
    def _null_removes(cls, entries: Any) -> Any:
        return _without_null(entries)

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
    pretext: Pretext
    map: Literal["layer1", "layer2", "layer3", "layer4", "conv5"]
    width: PositiveInt
    length: PositiveInt | None
    windows: SpotWindows | None


class SpotFeaturesConfig(SpotFeatures):
    """Also where features lie that others made."""

    folders: dict[Name, str]
    tables: dict[Name, str]

    def without_paths(self) -> dict[str, Any]:
        """The values that can change a number."""
        return self.model_dump(mode="json", exclude={"folders", "tables"})


class SpotLabels(Section):
    """Which training videos keep their labels."""

    split_files: dict[Name, str]
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
        _warmup_ends_in_time("spot.pretrain", self.warmup_epochs, self.epochs)
        return self


class SpotTrain(SpotOptimizer):
    """Training on videos with and without labels."""

    init: Annotated[str, Field(min_length=1)]
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
        _warmup_ends_in_time("spot.train", self.warmup_epochs, self.epochs)
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

    external_scores: dict[Name, str]

    def without_paths(self) -> dict[str, Any]:
        """The values that can change a number."""
        return self.model_dump(mode="json", exclude={"external_scores"})


class SpotConfig(Section):
    """Semi-supervised detection of segments."""

    network: SpotNetwork
    features: SpotFeaturesConfig
    labels: SpotLabels
    losses: SpotLosses
    pretrain: SpotPretrain
    train: SpotTrain
    detect: SpotDetectConfig

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


class ValidationConfig(Section):
    """Training videos set aside for choosing, never trained on."""

    fraction: Annotated[float, Field(ge=0, lt=1)]


class PredictConfig(Section):
    """How clip-rate logits are laid over time."""

    alignment: Literal["corners", "time"]


class ReportConfig(Section):
    """Figures."""

    timeline_videos: PositiveInt
    boundary_s: NonNegativeFloat
    resamples: PositiveInt
    tables: tuple[str, ...]


class FineModel(Section):
    """A single-stream detector fine-tuned from one pretraining."""

    kind: Literal["fine"]
    pretext: Pretext


class CoarseFineModel(Section):
    """A two-stream detector."""

    kind: Literal["coarse_fine"]
    coarse: Pretext
    fine: Pretext


class CoarseModel(Section):
    """The coarse stream of a two-stream detector alone."""

    kind: Literal["coarse"]
    pretext: Pretext


class SlowModel(Section):
    """A single-stream detector on every 4th frame, fine-tuned from one pretraining."""

    kind: Literal["slow"]
    pretext: Pretext


class SlowFastModel(Section):
    """SlowFast_det: a slow stream from one pretraining, a fine-tuned one as fast."""

    kind: Literal["slowfast"]
    slow: Pretext
    fast: Pretext


class HeadModel(Section):
    """A temporal head on the features of a fine-tuned detector, or on others."""

    kind: Literal["head"]
    head: Name
    pretext: Name
    epoch: Literal["selected", "last", "best_on_test"]


Model = Annotated[
    FineModel | CoarseFineModel | CoarseModel | SlowModel | SlowFastModel | HeadModel,
    Field(discriminator="kind"),
]


class SyntheticConfig(Section):
    """The generated sets: a classification set and a detection set."""

    classification: Name
    detection: Name
    side: PositiveInt
    fps: PositiveInt
    training_clips: PositiveInt
    testing_clips: PositiveInt
    training_videos: PositiveInt
    testing_videos: PositiveInt
    clip_s: tuple[PositiveFloat, PositiveFloat]
    video_s: tuple[PositiveFloat, PositiveFloat]


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
    tensorboard: bool
    checkpoint_seconds: NonNegativeFloat


class Config(Section):
    """The whole of config.yaml."""

    results: Annotated[str, Field(min_length=1)]
    seed: NonNegativeInt
    classification: Name
    datasets: dict[Name, DatasetConfig]
    data: DataConfig
    frames: FramesConfig
    model: ModelConfig
    spatial: SpatialConfig
    sampling: SamplingConfig
    pretrain: PretrainConfig
    augment: AugmentConfig
    validation: ValidationConfig
    fine: FineConfig
    features: FeaturesConfig
    coarse_fine: CoarseFineConfig
    coarse: CoarseConfig
    slow: SlowConfig
    slowfast: SlowFastConfig
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
        return _without_null(entries)

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
    def _names_are_known(self) -> Self:
        if self.classification not in self.datasets:
            raise ValueError(
                f"classification is {self.classification!r}, which is not one of"
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
        for stage in ("coarse_fine", "coarse", "slowfast"):
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


def _without_null(entries: Any) -> Any:
    """Entries without those that an override took away by saying null."""
    if not isinstance(entries, dict):
        return entries
    return {name: entry for name, entry in entries.items() if entry is not None}


def _whole_groups(section: str, batch_size: int, bn_group: int) -> None:
    if batch_size % bn_group:
        raise ValueError(
            f"{section}.batch_size ({batch_size}) must be a multiple of"
            f" {section}.bn_group ({bn_group})"
        )


def _warmup_ends_in_time(section: str, warmup_epochs: float, epochs: int) -> None:
    if warmup_epochs >= epochs:
        raise ValueError(
            f"{section}.warmup_epochs ({warmup_epochs:g}) must be below"
            f" {section}.epochs ({epochs})"
        )


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
