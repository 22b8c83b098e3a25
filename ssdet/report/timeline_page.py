"""Scores over time against what is annotated, as a page to look around in."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ssdet.data.interpolate import Stream, average
from ssdet.evaluate.protocol import EvaluatedVideo
from ssdet.report.page import data_element, page

POINTS = 400  # at most, of a video
FULL = 65535  # a probability of 1, as it is stored
BODY = """\
<p>Choose a test video. The rows are classes: those annotated in it first, by their
first start, then the others by their highest score. Click into a row, or move with
<kbd>←</kbd> <kbd>→</kbd> (time), <kbd>↑</kbd> <kbd>↓</kbd> (class), <kbd>n</kbd>
<kbd>p</kbd> (video); with <kbd>Shift</kbd> in longer steps.</p>
<div id="head">
<div class="controls">
<span class="video"><button id="previous" title="previous video (p)">‹</button>
<select id="video" aria-label="test video"></select>
<button id="next" title="next video (n)">›</button></span>
<span id="counts" class="note"></span>
<label><input type="checkbox" id="labelled"> only annotated classes</label>
<input type="search" id="search" placeholder="find a class" aria-label="find a class">
<label>height of a row <select id="scale">
<option value="video">highest score of the video</option>
<option value="class">highest score of the class</option>
<option value="one">1</option></select></label>
<span><span class="key truth"></span> annotated
<span class="key score"></span> score (probability)</span>
</div>
<output id="readout" aria-live="polite"></output>
<div id="axis"><span></span><div id="ticks" class="ticks"></div><span>score</span></div>
</div>
<div id="rows" tabindex="0" role="application" aria-label="classes over time"></div>
<p id="none" hidden>No class is left.</p>
<div id="tip" hidden></div>
"""


def timeline_page(
    result: Mapping[str, Any],
    videos: Sequence[EvaluatedVideo],
    streams: Mapping[str, Sequence[Stream]],
    classes: Sequence[str],
) -> str:
    """The page, with the scores of every class in it.

    Args:
        result: of the ensemble.
        videos: the videos, at least one.
        streams: mean logits of each.
        classes: class names.
    """
    index = {name: k for k, name in enumerate(classes)}
    shown = [_video(video, streams[video.video_id], index) for video in videos]
    data = data_element({"classes": list(classes), "videos": shown})
    title = f"{result['name']} on {result['dataset']}: predictions and labels over time"
    return page(title, BODY + data, ["timeline.css"], ["timeline.js"])


def _video(
    video: EvaluatedVideo, streams: Sequence[Stream], index: Mapping[str, int]
) -> dict[str, Any]:
    duration_s = video.timeline.duration_s
    points = min(POINTS, max(2, 2 * video.timeline.frames))
    logits = average(streams, np.linspace(0, duration_s, points))  # (N, K)
    probability = np.exp(-np.logaddexp(0.0, -logits))
    stored = np.round(FULL * probability.T).astype("<u2")  # (K, N)
    ordered = sorted(video.segments, key=lambda segment: segment.start_s)
    return {
        "id": video.video_id,
        "duration": duration_s,
        "segments": [[index[s.label], s.start_s, s.end_s] for s in ordered],
        "points": points,
        "scores": base64.b64encode(stored.tobytes()).decode(),
    }
