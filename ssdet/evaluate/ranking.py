"""Which frames count, and the numbers that are computed from them.

Four numbers, never to be compared with each other:

dense_map
    Every frame of every test video at the raw frame rate, labels by the strict rule,
    logits interpolated linearly to the frames' times. Long videos weigh more.
step_map
    The same at the rows of the predictions, as detectors on features of some rate are
    scored in the literature. Only of single files: members may differ in their rates.
map_25, map_25_weighted
    The 25 official instants of every test video, both ends of a segment included,
    logits interpolated to the instants: the plain mean over classes, and the mean
    weighted by each class's positives. A video that is lost but whose annotation states
    its length is ranked last, with its positives, as the official script does.

All are shares in [0, 1]; classes without positives are left out of the means. The APs
are those of the logits: a sigmoid after interpolation keeps their order, and would only
add ties where it rounds.

Source: heads_and_evaluation, sections 4.2 to 4.7; ssdet, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ssdet.data.frame_labels import (
    frame_labels,
    instant_labels,
    labels_at,
    official_instants,
)
from ssdet.data.interpolate import Stream
from ssdet.evaluate.protocol import EvaluatedVideo, Lost
from ssdet.evaluate.ranked_rows import Part, Scores, rank
from ssdet.metrics import mean_over_present, weighted_mean_over_present
from ssdet.stage import StageError

Array = npt.NDArray[Any]


def dense_scores(
    videos: Sequence[EvaluatedVideo],
    streams: Mapping[str, Sequence[Stream]],
    classes: Mapping[str, int],
    threads: int = 1,
) -> Scores:
    """Average precision over every raw frame.

    Args:
        videos: what is evaluated.
        streams: logits of each of them.
        classes: column of each of the K classes.
        threads: classes ranked at once; changes no value.
    """
    parts = [
        Part(
            video.segments,
            partial(frame_labels, frames=len(at_s), fps=video.timeline.fps),
            at_s,
            streams[video.video_id],
        )
        for video in videos
        for at_s in [np.arange(video.timeline.frames) / video.timeline.fps]
    ]
    return rank(parts, classes, threads)


def step_scores(
    videos: Sequence[EvaluatedVideo],
    streams: Mapping[str, Sequence[Stream]],
    classes: Mapping[str, int],
    threads: int = 1,
) -> Scores:
    """Average precision over the rows of the predictions, each at its own time.

    Args:
        videos: what is evaluated.
        streams: logits of each of them, one stream.
        classes: column of each of the K classes.
        threads: classes ranked at once; changes no value.
    """
    parts = [
        Part(
            video.segments,
            partial(labels_at, times_s=stream.times_s),
            stream.times_s,
            (stream,),
        )
        for video in videos
        for stream in streams[video.video_id]
    ]
    return rank(parts, classes, threads)


def instant_scores(
    videos: Sequence[EvaluatedVideo],
    lost: Sequence[Lost],
    streams: Mapping[str, Sequence[Stream]],
    classes: Mapping[str, int],
    threads: int = 1,
) -> Scores:
    """Average precision over the 25 official instants.

    Args:
        videos: what is evaluated.
        lost: what is ranked last, where its length is known.
        streams: logits of each of `videos`.
        classes: column of each of the K classes.
        threads: classes ranked at once; changes no value.
    """
    known = [
        (video.segments, video.timeline.duration_s, streams[video.video_id])
        for video in videos
    ]
    ranked_last = [
        (video.segments, video.length_s, ())
        for video in lost
        if video.length_s is not None
    ]
    parts = [
        Part(
            segments,
            partial(instant_labels, length_s=length_s),
            official_instants(length_s),
            logits,
        )
        for segments, length_s, logits in [*known, *ranked_last]
    ]
    return rank(parts, classes, threads)


def metrics_of(
    dense: Scores, instants: Scores, classes: Sequence[str]
) -> dict[str, Any]:
    """The `metrics` of a result: plain JSON types, null where there is no AP.

    Raises:
        StageError: no frame has a label.
    """
    if not dense.positives.any():
        raise StageError(
            "no action is seen in any frame of a test video, so there is nothing to"
            " detect; look at the label file of the test videos"
        )
    return {
        **means_of(dense, instants),
        "chance": _means(dense.chance, instants.chance, instants.positives),
        "per_class": [
            {
                "class": name,
                "ap": _number(dense.ap[k]),
                "positives": int(dense.positives[k]),
                "chance": _number(dense.chance[k]),
                "ap_25": _number(instants.ap[k]),
                "positives_25": int(instants.positives[k]),
            }
            for k, name in enumerate(classes)
        ],
    }


def means_of(dense: Scores, instants: Scores) -> dict[str, float | None]:
    """The means over the classes, by the name of the metric; None: nothing to rank."""
    return _means(dense.ap, instants.ap, instants.positives)


def _means(dense: Array, instants: Array, positives: Array) -> dict[str, float | None]:
    return {
        "dense_map": _number(mean_over_present(dense)),
        "map_25": _number(mean_over_present(instants)),
        "map_25_weighted": _number(weighted_mean_over_present(instants, positives)),
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
