"""The label files of the generated sets, in the formats of Kinetics and Charades."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from ssdet.data.motions import CLASSIFICATION, DETECTION
from ssdet.data.synthetic_ids import split_clip_id
from ssdet.data.synthetic_plan import Plan

KINETICS_SPLITS = {"training": "train", "testing": "val"}
CHARADES_SPLITS = {"training": "train", "testing": "test"}
KINETICS_HEADER = ("label", "youtube_id", "time_start", "time_end", "split", "is_cc")
CHARADES_HEADER = (
    *("id", "subject", "scene", "quality", "relevance", "verified"),
    *("script", "objects", "descriptions", "actions", "length"),
)


def kinetics_csv(ids: Iterable[str], split: str) -> str:
    """The label file of the clips of a split, in the order of their numbers."""
    rows = [
        (clip_label(index), *split_clip_id(video_id), KINETICS_SPLITS[split], 0)
        for index, video_id in enumerate(ids)
    ]
    return _csv_text(KINETICS_HEADER, rows)


def clip_label(index: int) -> str:
    """The class of clip `index` of a split: every class is equally frequent."""
    return CLASSIFICATION[index % len(CLASSIFICATION)][0]


def charades_csv(plans: Iterable[tuple[str, Plan]]) -> str:
    """The label file of videos with these ids and plans."""
    rows = [charades_row(video_id, plan) for video_id, plan in plans]
    return _csv_text(CHARADES_HEADER, rows)


def charades_row(video_id: str, plan: Plan) -> tuple[str, ...]:
    """The row of a video in the label file.

    Frame f is positive if start < f / fps < end, so times lie half a frame before the
    first frame of an action and half a frame after its last.
    """
    actions = ";".join(
        f"{_class_id(action.label)} {(action.start - 0.5) / plan.fps:.6f}"
        f" {(action.stop - 0.5) / plan.fps:.6f}"
        for action in plan.actions
    )
    number = len(plan.actors)
    script = f"{number} sprite{'s' if number > 1 else ''}, now still, now moving."
    length = f"{plan.frames / plan.fps:.6f}"
    texts = ("S0001", "Generated", "7", "7", "Yes", script, "sprite", script)
    return (video_id, *texts, actions, length)


def charades_classes() -> str:
    """The class list: lines "c000 Someone rises"."""
    names = enumerate(name for name, _ in DETECTION)
    return "".join(f"{_class_id(label)} {name}\n" for label, name in names)


def _class_id(label: int) -> str:
    return f"c{label:03d}"


def _csv_text(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
