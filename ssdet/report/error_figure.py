"""Where a detector errs: groups of frames above, every class below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ssdet.evaluate.error_analysis import ErrorAnalysis
from ssdet.evaluate.false_detections import KINDS
from ssdet.report.labels import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINT, INTERVAL, MEAN = "#2f6f9f", "#7fb2d6", "#222222"
COLOURS = dict(zip(KINDS, ("#7fb2d6", "#f2c66d", "#cf7a5a", "#c3ccd3"), strict=True))
ROW_INCHES = 0.17
TOP_INCHES, MARGIN_INCHES = 3.0, 1.2
WIDTH_INCHES = 9.0
X_LABELS = {
    "length": "length of the action [s]",
    "simultaneous": "actions in the frame",
}


def error_figure(
    result: Mapping[str, Any],
    analysis: ErrorAnalysis,
    classes: Sequence[str],
    boundary_s: float,
) -> Figure:
    """Draw mean AP by group, and AP and the kinds of detections of each class.

    Above: mean AP of short and long actions and of frames with few and many, with 95 %
    intervals; the kinds of detected frames, mean over the classes. Below: each class
    that has positives, the best on top.
    """
    from matplotlib.figure import Figure

    shown = [k for k in range(len(classes)) if analysis.detections[k] is not None]
    shown.sort(key=lambda k: (analysis.ap[k, 0], classes[k]))
    below = MARGIN_INCHES + ROW_INCHES * max(len(shown), 4)
    figure = Figure(figsize=(WIDTH_INCHES, TOP_INCHES + below), layout="constrained")
    parts = figure.subfigures(2, 1, squeeze=False, height_ratios=(TOP_INCHES, below))
    top, bottom = parts[:, 0]
    left, middle, right = top.subplots(1, 3, width_ratios=(1.25, 1.25, 1))
    _groups(left, analysis, "length")
    _groups(middle, analysis, "simultaneous")
    highest = 105 * np.nanmax([analysis.map, analysis.map_high])
    for axes in (left, middle):
        axes.set_ylim(0, highest)
    left.set_ylabel("mean AP [%]")
    _kinds(right, analysis, boundary_s)
    ap, kinds = bottom.subplots(1, 2, sharey=True, width_ratios=(1, 1))
    _class_ap(ap, analysis, classes, shown)
    _class_kinds(kinds, analysis, shown)
    low, high = 100 * analysis.map_low[0], 100 * analysis.map_high[0]
    figure.suptitle(
        f"{result['name']} on {result['dataset']}: mAP"
        f" {100 * result['metrics']['dense_map']:.1f} %, 95 % interval {low:.1f} to"
        f" {high:.1f} %",
        x=0.01,
        ha="left",
        fontweight="bold",
    )
    return figure


def _groups(axes: Axes, analysis: ErrorAnalysis, what: str) -> None:
    chosen = [
        n
        for n, group in enumerate(analysis.groups)
        if group.what == what and not np.isnan(analysis.map[n])
    ]
    places = list(range(len(chosen)))
    value = 100 * analysis.map[chosen]
    ends = 100 * np.stack([analysis.map_low[chosen], analysis.map_high[chosen]])
    axes.bar(places, value, color=INTERVAL, width=0.65)
    axes.errorbar(
        places,
        value,
        yerr=np.abs(ends - value),
        fmt="none",
        ecolor=MEAN,
        elinewidth=1,
        capsize=3,
    )
    mean = 100 * analysis.map[0]
    axes.axhline(mean, color=MEAN, linestyle=":", linewidth=1)
    axes.set_xticks(places, [_short(analysis.groups[n].name) for n in chosen])
    axes.set_xlabel(X_LABELS[what])
    axes.tick_params(axis="x", length=0)


def _short(name: str) -> str:
    """A name as a tick label, its unit being at the axis."""
    for words, sign in (("up to ", "≤ "), ("over ", "> "), (" to ", " to\n")):
        name = name.replace(words, sign)
    return name.removesuffix(" s").replace(" or more", "+")


def _kinds(axes: Axes, analysis: ErrorAnalysis, boundary_s: float) -> None:
    shares = 100 * np.mean(_shares(analysis), axis=0)
    words = {
        "correct": "correct",
        "boundary": f"within {boundary_s:g} s of it",
        "confusion": "another action",
        "background": "no action",
    }
    places = list(range(len(KINDS)))[::-1]
    axes.barh(places, shares, color=[COLOURS[kind] for kind in KINDS], height=0.65)
    for place, share in zip(places, shares, strict=True):
        axes.text(share + 1, place, f"{share:.0f} %", va="center")
    axes.set_yticks(places, [words[kind] for kind in KINDS])
    axes.set_xlim(0, max(shares) * 1.25)
    axes.set_xlabel("share of detected frames [%]")
    axes.tick_params(axis="y", length=0)


def _class_ap(
    axes: Axes, analysis: ErrorAnalysis, classes: Sequence[str], shown: Sequence[int]
) -> None:
    places = np.arange(len(shown))
    ap = 100 * analysis.ap[shown, 0]
    low, high = 100 * analysis.low[shown, 0], 100 * analysis.high[shown, 0]
    axes.hlines(places, low, high, color=INTERVAL, linewidth=4)
    axes.scatter(ap, places, color=POINT, s=14, zorder=3)
    axes.axvline(100 * analysis.map[0], color=MEAN, linestyle=":", linewidth=1)
    axes.set_xlabel("AP [%], with 95 % interval")
    axes.set_xlim(0, np.nanmax([*ap, *high]) * 1.05)
    axes.set_yticks(places, [plain(classes[k]) for k in shown])
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", top=True, labeltop=True)


def _class_kinds(axes: Axes, analysis: ErrorAnalysis, shown: Sequence[int]) -> None:
    places = np.arange(len(shown))
    shares = 100 * np.array([_share(analysis, k) for k in shown])
    left = np.zeros(len(shown))
    for number, kind in enumerate(KINDS):
        width = shares[:, number]
        axes.barh(places, width, left=left, color=COLOURS[kind], height=0.75)
        left += width
    axes.set_xlabel("share of detected frames [%], colours as above")
    axes.set_xlim(0, 100)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", top=True, labeltop=True)


def _shares(analysis: ErrorAnalysis) -> list[Any]:
    return [
        _share(analysis, k)
        for k, found in enumerate(analysis.detections)
        if found is not None
    ]


def _share(analysis: ErrorAnalysis, number: int) -> Any:
    found = analysis.detections[number]
    assert found is not None  # classes without positives are not shown
    return found.counts / found.counts.sum()
