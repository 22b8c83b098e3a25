"""Data sets, their frames, and the generated ones."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)

from ssdet.sections.base import Fraction, Name, Section, Triple, canonical_json

SPLITS = ("training", "testing")


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


class VideoCoding(Section):
    """How frames are coded as short-GOP video."""

    gop: PositiveInt
    crf: Annotated[float, Field(ge=0, le=51)]


class StoredFrames(Section):
    """What a stage is told of the packed frames: only what their storage reads."""

    short_side: PositiveInt
    shard_videos: PositiveInt
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] | None = None
    video: VideoCoding | None = None

    @model_validator(mode="after")
    def _one_storage(self) -> Self:
        if (self.jpeg_quality is None) == (self.video is None):
            raise ValueError("frames are stored with either jpeg_quality or video")
        return self


class FramesConfig(Section):
    """The packed frames, and the two ways to store them."""

    short_side: PositiveInt
    shard_videos: PositiveInt
    storage: Literal["jpeg", "video"]
    jpeg_quality: Annotated[int, Field(ge=1, le=100)]
    video: VideoCoding

    @model_validator(mode="after")
    def _video_has_even_sides(self) -> Self:
        if self.storage == "video" and self.short_side % 2:
            raise ValueError(
                f"frames.short_side ({self.short_side}) must be even with"
                " frames.storage: video"
            )
        return self

    def canonical(self) -> str:
        """JSON of `StoredFrames`: what the other storage reads reruns nothing."""
        kept = "jpeg_quality" if self.storage == "jpeg" else "video"
        values = self.model_dump(mode="json")
        return canonical_json(
            {key: values[key] for key in ("short_side", "shard_videos", kept)}
        )


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
