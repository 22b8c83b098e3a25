"""Where a two-stream detector looks: confidence, kept frames, what is annotated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ssdet.data.grids import Sampling
from ssdet.evaluate.protocol import EvaluatedVideo
from ssdet.report.labels import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRUTH, CURVE, LINE, FRAME = "#f8d9a0", "#2f6f9f", "#d9dde0", "#33424d"
SHADES = ("#f3f6f8", "#2f6f9f")  # of confidence 0 and 1
SHOWN_CLASSES = 12  # annotated ones, of a video
ROW_INCHES = 0.3
FILLED = 0.85  # share of a row's height
CURVE_ROWS, FAN_ROWS, GAP_ROWS = 2.0, 2.5, 0.5  # heights, in rows
MARGIN_INCHES = 0.8
WIDTH_INCHES = 9.0


def grid_figure(
    title: str, videos: Sequence[EvaluatedVideo], grids: Mapping[str, Sampling]
) -> Figure:
    """Draw a panel for each video.

    On top the confidence of even parts of the video. Under it each part becomes a step
    of the grid, the shorter the higher its confidence; the frames between the steps are
    the ones that the coarse stream sees. At the bottom what is annotated.

    Args:
        title: of the figure.
        videos: at least one.
        grids: of each video.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    above = CURVE_ROWS + FAN_ROWS + 2 * GAP_ROWS
    heights = [
        ROW_INCHES * (above + max(1, len(_classes(video)))) + MARGIN_INCHES
        for video in videos
    ]
    figure = Figure(
        figsize=(WIDTH_INCHES, sum(heights) + MARGIN_INCHES), layout="constrained"
    )
    panels = figure.subplots(len(videos), 1, squeeze=False, height_ratios=heights)
    for axes, video in zip(panels[:, 0], videos, strict=True):
        _panel(axes, video, grids[video.video_id])
    panels[-1, 0].set_xlabel("time [s]")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    handles = [
        Patch(color=CURVE, label="confidence (darker: higher)"),
        Line2D([], [], color=FRAME, linewidth=0.8, label="frame that is kept"),
        Patch(color=TRUTH, label="annotated"),
    ]
    figure.legend(handles=handles, loc="outside lower right", ncols=3, frameon=False)
    return figure


def _classes(video: EvaluatedVideo) -> list[str]:
    """Rows of a panel: annotated classes by their first start."""
    return list(dict.fromkeys(s.label for s in video.segments))[:SHOWN_CLASSES]


def _panel(axes: Axes, video: EvaluatedVideo, grid: Sampling) -> None:
    names = _classes(video)
    rows = max(1, len(names))
    times_s = grid.times_s
    even_s = np.linspace(0.0, times_s[-1], len(times_s))
    fan = GAP_ROWS + FILLED  # its foot; row 0 ends at FILLED
    curve = fan + FAN_ROWS + GAP_ROWS
    for place, name in enumerate(names):
        bars = [
            (s.start_s, s.end_s - s.start_s) for s in video.segments if s.label == name
        ]
        axes.axhline(-place, color=LINE, linewidth=0.6, zorder=0)
        axes.broken_barh(bars, (-place, FILLED), facecolor=TRUTH, linewidth=0, zorder=1)
    axes.vlines(times_s, 1 - rows, fan, color=FRAME, linewidth=0.5, zorder=2)
    _fan(axes, even_s, times_s, grid.confidence, fan)
    axes.stairs(
        curve + CURVE_ROWS * grid.confidence,
        even_s,
        baseline=curve,
        fill=True,
        color=CURVE,
        alpha=0.85,
        zorder=2,
    )
    ticks = {fan: "kept", fan + FAN_ROWS: "even"}
    for share, text in ((0, "0"), (0.5, "confidence  0.5"), (1, "1")):
        ticks[curve + CURVE_ROWS * share] = text
        axes.axhline(curve + CURVE_ROWS * share, color=LINE, linewidth=0.6, zorder=0)
    ticks |= {FILLED / 2 - place: plain(name) for place, name in enumerate(names)}
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(1 - rows - 0.1, curve + CURVE_ROWS + 0.1)
    axes.set_xlim(0, video.timeline.duration_s)
    axes.spines["left"].set_visible(False)
    left_out = len({s.label for s in video.segments}) - len(names)
    title = f"{plain(video.video_id)}: {len(times_s)} frames kept"
    axes.set_title(title + (f"; {left_out} classes not shown" if left_out else ""))


def _fan(
    axes: Axes,
    even_s: np.ndarray,
    times_s: np.ndarray,
    confidence: np.ndarray,
    foot: float,
) -> None:
    """Each even part on top, and the step it becomes below, shaded by confidence."""
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.colors import LinearSegmentedColormap

    top = foot + FAN_ROWS
    shades = LinearSegmentedColormap.from_list("confidence", SHADES)
    edges = [((e, top), (t, foot)) for e, t in zip(even_s, times_s, strict=True)]
    corners = [[*left, *right[::-1]] for left, right in pairwise(edges)]
    axes.add_collection(
        PolyCollection(corners, facecolors=shades(confidence), linewidths=0, zorder=1)
    )
    axes.add_collection(LineCollection(edges, colors=FRAME, linewidths=0.5, zorder=2))
