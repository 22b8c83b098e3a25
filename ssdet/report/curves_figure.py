"""Loss, learning rate and validation over the steps of some trainings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ssdet.report.labels import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ssdet.report.curves import Training

COLOURS = ("#2f6f9f", "#c2621b", "#3f7f4f", "#8a4f9e", "#a3341f", "#6b6f1d", "#20858a")
DASHES = ("-", "--", ":", "-.")  # once the colours are used up
WIDTH_INCHES, ROW_INCHES, TITLE_INCHES = 11.0, 2.1, 0.6
SMOOTHED = 20  # points; about so many loss values make a mean


def curves_figure(dataset: str, trainings: Sequence[Training]) -> Figure:
    """Draw a row of three panels for each stage, and in it a line for each training.

    Args:
        dataset: its name.
        trainings: at least one, those of a stage together.
    """
    from matplotlib.figure import Figure

    rules = list(dict.fromkeys(training.rule for training in trainings))
    height = ROW_INCHES * len(rules) + TITLE_INCHES
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    panels = figure.subplots(len(rules), 4, squeeze=False, width_ratios=(3, 3, 3, 1.5))
    for rule, row in zip(rules, panels, strict=True):
        own = [training for training in trainings if training.rule == rule]
        _stage(rule, own, row)
    figure.suptitle(
        f"Trainings behind the results of {dataset}",
        x=0.01,
        ha="left",
        fontweight="bold",
    )
    return figure


def _stage(
    rule: str, trainings: Sequence[Training], row: npt.NDArray[np.object_]
) -> None:
    loss, rate, score, names = row
    for number, training in enumerate(trainings):
        colour = COLOURS[number % len(COLOURS)]
        dash = DASHES[number // len(COLOURS) % len(DASHES)]
        steps, values = training.loss
        loss.plot(steps, values, color=colour, linewidth=0.6, alpha=0.3)
        smooth = running_mean(values, max(1, len(values) // SMOOTHED))
        (line,) = loss.plot(steps, smooth, color=colour, linestyle=dash, linewidth=1.4)
        line.set_label(plain(training.name))
        rate.plot(*training.rate, color=colour, linestyle=dash, linewidth=1.4)
        _scores(score, training, colour, dash)
    loss.set_title(f"{rule}: loss", fontweight="bold")
    rate.set_title("learning rate")
    keys = dict.fromkeys(key for training in trainings for key in training.validation)
    score.set_title(plain(", ".join(keys)) if keys else "no validation")
    for axes in (loss, rate, score):
        axes.set_xlabel("step")
        axes.set_xlim(left=0)
        axes.grid(axis="y", color="#e3e6e8", linewidth=0.6)
    rate.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    score.set_xlim(right=loss.get_xlim()[1])
    rate.set_ylim(bottom=0)
    names.axis("off")
    names.legend(
        *loss.get_legend_handles_labels(), loc="upper left", frameon=False, fontsize=8
    )


def _scores(axes: Axes, training: Training, colour: str, dash: str) -> None:
    for number, (steps, values) in enumerate(training.validation.values()):
        marker = "os^vD"[number % 5]
        axes.plot(steps, values, f"{marker}", color=colour, markersize=4)
        axes.plot(steps, values, color=colour, linestyle=dash, linewidth=1.0)


def running_mean(
    values: npt.NDArray[np.float64], width: int
) -> npt.NDArray[np.float64]:
    """Mean of each value and those before it, no more than `width` together."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - width)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))
