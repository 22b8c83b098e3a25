"""The AP of every class as bars, beside how often the class is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ssdet.report.labels import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BAR, SUPPORT, CHANCE, MEAN = "#7fb2d6", "#c3ccd3", "#b3261e", "#222222"
ROW_INCHES = 0.17
MARGIN_INCHES = 1.4
WIDTH_INCHES = 8.0


def ap_figure(result: Mapping[str, Any]) -> Figure:
    """Draw one row for each class of the test set, the best detected on top.

    Left: AP of the dense protocol in percent, with the AP that random scores would
    have. Right: positive frames, on a logarithmic scale where they span two decades.
    """
    from matplotlib.figure import Figure

    metrics = result["metrics"]
    classes = [row for row in metrics["per_class"] if row["ap"] is not None]
    classes.sort(key=lambda row: (row["ap"], row["class"]))
    left_out = len(metrics["per_class"]) - len(classes)
    ap = [100 * row["ap"] for row in classes]
    counts = [row["positives"] for row in classes]
    places = list(range(len(classes)))

    height = MARGIN_INCHES + ROW_INCHES * max(len(classes), 4)
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    left.barh(places, ap, color=BAR, height=0.75)
    left.scatter(
        [100 * row["chance"] for row in classes],
        places,
        marker="|",
        s=40,
        linewidths=1.5,
        color=CHANCE,
        label="random scores",
        zorder=3,
    )
    mean = 100 * metrics["dense_map"]
    left.axvline(mean, color=MEAN, linestyle=":", label=f"mean, {mean:.1f} %")
    left.set_xlabel("average precision, every frame [%]")
    left.set_xlim(0, max(*ap, mean) * 1.05)
    left.set_yticks(places, [plain(row["class"]) for row in classes])
    left.set_ylim(-0.6, len(classes) - 0.4)
    left.tick_params(axis="y", length=0)
    left.tick_params(axis="x", top=True, labeltop=True)
    left.legend(loc="lower right", frameon=False)
    right.barh(places, counts, color=SUPPORT, height=0.75)
    if max(counts) >= 100 * min(counts):
        right.set_xscale("log")
    else:
        right.locator_params(axis="x", nbins=3)
    right.set_xlabel("positive frames")
    right.tick_params(axis="y", length=0)
    right.tick_params(axis="x", top=True, labeltop=True)
    title = f"{result['name']} on {result['dataset']}: {len(classes)} classes"
    if left_out:
        title += f" ({left_out} more are in no test frame)"
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure
