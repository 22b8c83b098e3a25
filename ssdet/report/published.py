"""The published tables, as config/tables.yaml and files like it write them down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from ssdet.config import ConfigError, Name, Section, explain

Metric = Literal["dense_map", "map_25", "map_25_weighted"]


class Row(Section):
    """One line of a table; the file says what its values mean."""

    label: str
    input: str
    published: float | None
    source: str
    result: Name | None
    protocol: str | None = None  # where it is not the table's


class Table(Section):
    """One table."""

    title: str
    dataset: Name
    protocol: str
    metrics: tuple[Metric, ...]
    baseline: Name | None
    rows: Annotated[dict[Name, Row], Field(min_length=1)]

    @field_validator("rows", mode="before")
    @classmethod
    def _null_removes(cls, rows: Any) -> Any:
        return _without_null(rows)

    @model_validator(mode="after")
    def _baseline_is_a_row(self) -> Table:
        if self.baseline is not None and self.baseline not in self.rows:
            raise ValueError(f"baseline {self.baseline!r} is not one of rows")
        return self

    def of_generated_videos(self) -> Table:
        """Its rows that name results, without numbers that do not concern them."""
        rows = {
            name: row.model_copy(update={"published": None})
            for name, row in self.rows.items()
            if row.result is not None
        }
        kept = self.baseline if self.baseline in rows else None
        return self.model_copy(update={"rows": rows, "baseline": kept})


class Point(Section):
    """One mark of the figure: published, and which of our results stands beside it."""

    variant: Literal["cls", "joint", "ensemble", "literature"]
    published: float
    multiply_adds_billion: float
    result: Name | None


class Series(Section):
    """One method of the trade-off figure: its points from left to right."""

    label: str
    points: Annotated[tuple[Point, ...], Field(min_length=1)]


class Figure(Section):
    """The trade-off figure."""

    title: str
    dataset: Name
    protocol: str
    metric: Metric
    series: dict[Name, Series]

    @field_validator("series", mode="before")
    @classmethod
    def _null_removes(cls, series: Any) -> Any:
        return _without_null(series)


class SegmentRow(Section):
    """One line of a table of segments; the file says what its values mean."""

    label: str
    labels: Annotated[int, Field(ge=1, le=100)]
    published: tuple[float | None, ...]
    source: str
    result: Name | None


class SegmentTable(Section):
    """Segments of one data set, by the share of the labels."""

    title: str
    protocol: str
    measure: Literal["activitynet", "thumos14"]
    tiou: tuple[float, ...]
    rows: dict[Name, SegmentRow]

    @field_validator("rows", mode="before")
    @classmethod
    def _null_removes(cls, rows: Any) -> Any:
        return _without_null(rows)

    @model_validator(mode="after")
    def _a_number_for_each_overlap(self) -> SegmentTable:
        count = len(self.tiou) + 1
        for name, row in self.rows.items():
            if len(row.published) != count:
                raise ValueError(
                    f"rows.{name}.published has {len(row.published)} numbers, expected"
                    f" {count}: one for each tiou, and the average"
                )
        return self


OVERLAPS: dict[Literal["activitynet", "thumos14"], tuple[float, ...]] = {
    "activitynet": (0.5, 0.75, 0.95),
    "thumos14": (0.3, 0.4, 0.5, 0.6, 0.7),
}  # of the columns of a table that nobody published


class Published(Section):
    """All of the files."""

    tables: dict[Name, Table]
    figures: dict[Name, Figure]
    segments: dict[Name, SegmentTable]

    @field_validator("tables", "figures", "segments", mode="before")
    @classmethod
    def _null_removes(cls, entries: Any) -> Any:
        return _without_null(entries)


def read_published(paths: Sequence[str | Path]) -> Published:
    """Read the files, each over those before it, key by key.

    Raises:
        ConfigError: a file cannot be read, or has wrong keys or values.
    """
    merged: dict[str, Any] = {"tables": {}, "figures": {}, "segments": {}}
    for path in paths:
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"{path} (report.tables): {error}") from None
        if not isinstance(content, dict):
            raise ConfigError(f"{path} (report.tables) has no tables: {content!r}")
        merged = _over(merged, content)
    try:
        return Published.model_validate(merged)
    except ValidationError as error:
        files = ", ".join(map(str, paths))
        raise ConfigError(f"{files} (report.tables): {explain(error)}") from None


def with_own_rows(
    table: SegmentTable | None,
    dataset: str,
    measure: Literal["activitynet", "thumos14"],
    results: Sequence[tuple[int, str]],
) -> SegmentTable:
    """A published table of segments, with rows for results that it does not name.

    Args:
        table: the published one; None: there is none of this data set.
        dataset: its name.
        measure: overlaps of a table that is not published.
        results: share of labels in percent and variant (or nothing) of each of ours.
    """
    if table is None:
        table = SegmentTable(
            title=f"SPOT: {dataset}",
            protocol="",
            measure=measure,
            tiou=OVERLAPS[measure],
            rows={},
        )
    named = {row.result for row in table.rows.values()}
    rows = dict(table.rows)
    for labels, variant in results:
        name = f"spot_{labels}" + (f"_{variant}" if variant else "")
        if name not in named:
            rows[name] = SegmentRow(
                label=f"SPOT, {variant.replace('_', ' ')}" if variant else "SPOT",
                labels=labels,
                published=(None,) * (len(table.tiou) + 1),
                source="",
                result=name,
            )
    return table.model_copy(update={"rows": rows})


def _over(base: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _over(result[key], value) if both else value
    return result


def _without_null(entries: Any) -> Any:
    if not isinstance(entries, dict):
        return entries
    return {name: entry for name, entry in entries.items() if entry is not None}
