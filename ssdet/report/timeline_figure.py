"""Scores over time against what is annotated, for a few test videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ssdet.data.interpolate import Stream, average
from ssdet.evaluate.protocol import EvaluatedVideo
from ssdet.report.labels import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRUTH, SCORE, LINE = "#f8d9a0", "#2f6f9f", "#d9dde0"
POINTS = 400  # at most, of a curve
SHOWN_CLASSES = 12  # annotated ones, of a video
FALSE_ALARMS = 2  # rows for classes that are not annotated but score highest
ROW_INCHES = 0.3
FILLED = 0.85  # share of a row's height
MARGIN_INCHES = 0.8
WIDTH_INCHES = 9.0


def choose_videos(videos: Sequence[EvaluatedVideo], count: int) -> list[EvaluatedVideo]:
    """The videos with the most actions, most first."""
    order = sorted(videos, key=lambda video: (-len(video.segments), video.video_id))
    return order[:count]


def timeline_figure(
    result: Mapping[str, Any],
    videos: Sequence[EvaluatedVideo],
    streams: Mapping[str, Sequence[Stream]],
    classes: Sequence[str],
) -> Figure:
    """Draw a panel for each video, and in it a row for each class.

    Bars say when an action is annotated; the curve in the same row is its probability.

    Args:
        result: of the ensemble.
        videos: the videos, at least one.
        streams: mean logits of each.
        classes: class names.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    shown = {v.video_id: _shown(v, streams[v.video_id], classes) for v in videos}
    heights = [ROW_INCHES * len(rows) + MARGIN_INCHES for rows in shown.values()]
    figure = Figure(
        figsize=(WIDTH_INCHES, sum(heights) + MARGIN_INCHES), layout="constrained"
    )
    panels = figure.subplots(len(videos), 1, squeeze=False, height_ratios=heights)
    for axes, video in zip(panels[:, 0], videos, strict=True):
        _panel(axes, video, streams[video.video_id], classes, shown[video.video_id])
    panels[-1, 0].set_xlabel("time [s]")
    figure.suptitle(
        f"{result['name']} on {result['dataset']}: test videos with the most actions",
        x=0.01,
        ha="left",
        fontweight="bold",
    )
    handles = [
        Patch(color=TRUTH, label="annotated"),
        Patch(color=SCORE, label="probability"),
    ]
    figure.legend(handles=handles, loc="outside lower right", ncols=2, frameon=False)
    return figure


def _shown(
    video: EvaluatedVideo, streams: Sequence[Stream], classes: Sequence[str]
) -> list[int]:
    """Rows of a panel: annotated classes by their first start, then false alarms."""
    index = {name: k for k, name in enumerate(classes)}
    annotated = list(dict.fromkeys(index[s.label] for s in video.segments))
    highest = average(streams, _times_s(video)).max(axis=0)
    others = [k for k in np.argsort(-highest, kind="stable") if k not in annotated]
    return annotated[:SHOWN_CLASSES] + [int(k) for k in others[:FALSE_ALARMS]]


def _panel(
    axes: Axes,
    video: EvaluatedVideo,
    streams: Sequence[Stream],
    classes: Sequence[str],
    rows: Sequence[int],
) -> None:
    times_s = _times_s(video)
    logits = average(streams, times_s)[:, rows]
    probability = np.exp(-np.logaddexp(0.0, -logits))  # (N, rows)
    full = float(probability.max()) or 1.0
    names = [classes[k] for k in rows]
    for place, name in enumerate(names):
        bars = [
            (s.start_s, s.end_s - s.start_s) for s in video.segments if s.label == name
        ]
        axes.broken_barh(bars, (-place, FILLED), facecolor=TRUTH, linewidth=0)
        curve = FILLED * probability[:, place] / full - place
        axes.fill_between(times_s, -place, curve, color=SCORE, alpha=0.35, linewidth=0)
        axes.plot(times_s, curve, color=SCORE, linewidth=1.0)
        axes.axhline(-place, color=LINE, linewidth=0.6, zorder=0)
    annotated = {segment.label for segment in video.segments}
    ticks = [plain(n) if n in annotated else f"({plain(n)})" for n in names]
    axes.set_yticks([FILLED / 2 - place for place in range(len(rows))], ticks)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(FILLED - len(rows), 1.05)
    axes.set_xlim(0, video.timeline.duration_s)
    axes.spines["left"].set_visible(False)
    title = (
        f"{plain(video.video_id)}: {len(video.segments)} actions; the height of a row"
        f" is a probability of {full:.2g}; (not annotated)"
    )
    left_out = len(annotated - set(names))
    axes.set_title(title + (f"; {left_out} classes not shown" if left_out else ""))


def _times_s(video: EvaluatedVideo) -> np.ndarray:
    duration_s = video.timeline.duration_s
    return np.linspace(0, duration_s, min(POINTS, 2 * video.timeline.frames))
