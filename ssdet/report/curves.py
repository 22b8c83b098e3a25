"""The stage `curves`: loss, learning rate and validation of every training.

The trainings are those that the results of a data set depend on, as their records say.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssdet.report.curves_figure import curves_figure
from ssdet.report.figures import STYLE, load_matplotlib, save
from ssdet.report.lineage import Made, lineage
from ssdet.report.stage_graph import FEEDS
from ssdet.report.tables import read_result
from ssdet.stage import StageError
from ssdet.train.checkpoint import metrics_path

REVISION = 1
OF_STEPS = ("loss", "rate", "waited_s", "norm")  # in every line of a step
POINTS = 400  # at most, of a curve

log = logging.getLogger(__name__)
Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]  # steps and values


@dataclass(frozen=True)
class Training:
    """The numbers of a training.

    Attributes:
        rule: the stage's rule.
        name: tells it from the others of the stage.
        loss: mean over the steps before each point.
        rate: learning rate.
        validation: scores, by their names; a training may have none.
    """

    rule: str
    name: str
    loss: Curve
    rate: Curve
    validation: Mapping[str, Curve]


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.report.curves")
    parser.add_argument(
        "--results", type=Path, nargs="+", required=True, help="JSON of one data set"
    )
    parser.add_argument("--out", type=Path, required=True, help="SVG")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, find the trainings, draw their curves."""
    args = arguments().parse_args(argv)
    dataset = read_result(args.results[0])["dataset"]
    trainings = read_trainings(lineage(args.results).values())
    if not trainings:
        raise StageError(
            f"none of the results of {dataset} depends on a training whose numbers are"
            " there (checkpoint.jsonl beside checkpoint.pt); run the training again"
        )
    matplotlib = load_matplotlib()
    with matplotlib.rc_context(STYLE):
        save(curves_figure(dataset, trainings), args.out)
    log.info("%d trainings in %s", len(trainings), args.out)


def read_trainings(made: Iterable[Made]) -> list[Training]:
    """The trainings among some files whose numbers are still there, stage by stage.

    Raises:
        ValueError: a file of numbers cannot be read; the message names the line.
    """
    trained: dict[str, list[str]] = {rule: [] for rule in FEEDS}
    for file in made:
        numbers = metrics_path(Path(file.path))
        if file.rule in FEEDS and file.path.endswith(".pt") and numbers.is_file():
            trained[file.rule].append(file.path)
    found = []
    for rule, paths in trained.items():
        names = distinct_names(sorted(paths))
        for path, name in names.items():
            found.append(read_training(rule, name, metrics_path(Path(path))))
    return [training for training in found if len(training.loss[0])]


def distinct_names(paths: Sequence[str]) -> dict[str, str]:
    """What is different in the paths of checkpoints; of one, its folder."""
    folders = [str(Path(path).parent) for path in paths]
    if len(folders) < 2:
        return {path: Path(path).parent.name for path in paths}
    shared = os.path.commonpath(folders)
    return {
        path: os.path.relpath(folder, shared)
        for path, folder in zip(paths, folders, strict=True)
    }


def read_training(rule: str, name: str, path: Path) -> Training:
    """Read the lines of numbers of a training.

    Raises:
        ValueError: a line cannot be read; the message names it.
    """
    steps: list[tuple[int, float, float]] = []
    scores: dict[str, list[tuple[int, float]]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            values = json.loads(line)
            step = int(values.pop("step"))
            if "loss" in values:
                steps.append((step, float(values["loss"]), float(values["rate"])))
            else:
                for key, value in values.items():
                    scores.setdefault(key, []).append((step, float(value)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path}, line {number} has no numbers of a step ({error}); run the"
                " training again"
            ) from None
    columns = np.array(steps, dtype=np.float64).reshape(-1, 3)
    validation = {key: _curve(np.array(rows)) for key, rows in scores.items()}
    thinned = _thinned(columns)
    return Training(
        rule,
        name,
        (thinned[:, 0], thinned[:, 1]),
        (thinned[:, 0], thinned[:, 2]),
        validation,
    )


def _curve(rows: npt.NDArray[np.float64]) -> Curve:
    return rows[:, 0], rows[:, 1]


def _thinned(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Means of rows, POINTS of them, each at the last step that is in it."""
    if len(rows) <= POINTS:
        return rows
    parts = np.array_split(rows, POINTS)
    return np.array([[part[-1, 0], *part[:, 1:].mean(axis=0)] for part in parts])


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
