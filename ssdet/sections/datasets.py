"""Data sets, their frames, and the generated ones."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PositiveFloat, PositiveInt, Tag

from ssdet.sections.base import FilePath, Fraction, Name, Section, Triple

SPLITS = ("training", "testing")


class AnnotationFiles(Section):
    """The label files of a dataset; both splits may name the same file."""

    training: FilePath
    testing: FilePath
    classes: FilePath | None


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

    videos: FilePath
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
