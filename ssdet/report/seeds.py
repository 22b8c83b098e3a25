"""Results by name, each by one or several seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from ssdet.report.tables import read_result

Result = Mapping[str, Any]


def by_name(
    paths: Sequence[Path], dataset: str, read: Callable[[Path], Result] = read_result
) -> dict[str, list[Result]]:
    """The results of each name, by rising seed.

    Args:
        paths: JSON files.
        dataset: whose results they are.
        read: reads a file of their kind.

    Raises:
        ValueError: a file is no result, of another data set, or of a name and seed that
            another file has too.
    """
    found: dict[str, dict[int, Result]] = {}
    for path in paths:
        result = read(path)
        if result["dataset"] != dataset:
            raise ValueError(f"{path} is of {result['dataset']}, not of {dataset}")
        seeds = found.setdefault(result["name"], {})
        if result["seed"] in seeds:
            raise ValueError(
                f"{path} is {result['name']} of seed {result['seed']}, as another of"
                " the results is: give each once"
            )
        seeds[result["seed"]] = result
    return {name: [seeds[s] for s in sorted(seeds)] for name, seeds in found.items()}


def percent(results: Sequence[Result], metric: str) -> float | None:
    """A metric in percent, the mean over the seeds; None if any lacks it."""
    values = _values(results, metric)
    return fmean(values) if values else None


def spread(results: Sequence[Result], metric: str) -> float | None:
    """Its sample standard deviation over the seeds, in percent; None of one seed."""
    values = _values(results, metric)
    return stdev(values) if len(values) > 1 else None


def _values(results: Sequence[Result], metric: str) -> list[float]:
    values = [result["metrics"][metric] for result in results]
    return [] if None in values else [100 * value for value in values]
