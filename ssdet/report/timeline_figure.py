"""Scores over time against what is annotated, for a few test videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ssdet.evaluate.protocol import Stream, TestVideo, average

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRUTH, SCORE, LINE = "#f0b85a", "#2f6f9f", "#d9dde0"
POINTS = 400  # at most, of a curve
SHOWN_CLASSES = 12  # annotated ones, of a video
FALSE_ALARMS = 2  # rows for classes that are not annotated but score highest
ROW_INCHES = 0.3
MARGIN_INCHES = 0.8
WIDTH_INCHES = 9.0


def choose_videos(videos: Sequence[TestVideo], count: int) -> list[TestVideo]:
    """The videos with the most actions, most first."""
    order = sorted(videos, key=lambda video: (-len(video.segments), video.video_id))
    return order[:count]


def timeline_figure(
    result: Mapping[str, Any],
    videos: Sequence[TestVideo],
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
        f"{result['name']} on {result['dataset']}: the {len(videos)} test videos with"
        " the most actions",
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
    video: TestVideo, streams: Sequence[Stream], classes: Sequence[str]
) -> list[int]:
    """Rows of a panel: annotated classes by their first start, then false alarms."""
    index = {name: k for k, name in enumerate(classes)}
    annotated = list(dict.fromkeys(index[s.label] for s in video.segments))
    highest = average(streams, _times_s(video)).max(axis=0)
    others = [k for k in np.argsort(-highest, kind="stable") if k not in annotated]
    return annotated[:SHOWN_CLASSES] + [int(k) for k in others[:FALSE_ALARMS]]


def _panel(
    axes: Axes,
    video: TestVideo,
    streams: Sequence[Stream],
    classes: Sequence[str],
    rows: Sequence[int],
) -> None:
    times_s = _times_s(video)
    probability = 1 / (1 + np.exp(-average(streams, times_s)[:, rows]))
    full = float(probability.max())
    for place, k in enumerate(rows):
        bottom = -float(place)
        for segment in video.segments:
            if segment.label == classes[k]:
                length_s = segment.end_s - segment.start_s
                axes.broken_barh(
                    [(segment.start_s, length_s)],
                    (bottom, 0.85),
                    facecolor=TRUTH,
                    alpha=0.6,
                    linewidth=0,
                )
        curve = bottom + 0.85 * probability[:, place] / full
        axes.fill_between(times_s, bottom, curve, color=SCORE, alpha=0.35, linewidth=0)
        axes.plot(times_s, curve, color=SCORE, linewidth=1.0)
        axes.axhline(bottom, color=LINE, linewidth=0.6, zorder=0)
    names = {segment.label for segment in video.segments}
    labels = [classes[k] if classes[k] in names else f"({classes[k]})" for k in rows]
    axes.set_yticks([0.4 - place for place in range(len(rows))], labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-len(rows) + 0.9, 1.05)
    axes.set_xlim(0, video.timeline.duration_s)
    axes.spines["left"].set_visible(False)
    left_out = len(names) - sum(classes[k] in names for k in rows)
    more = f", {left_out} more classes not shown" if left_out else ""
    axes.set_title(
        f"{video.video_id}: {len(video.segments)} actions; a row's height is a"
        f" probability of {full:.2g}; (not annotated){more}"
    )


def _times_s(video: TestVideo) -> np.ndarray:
    duration_s = video.timeline.duration_s
    return np.linspace(0, duration_s, min(POINTS, 2 * video.timeline.frames))
