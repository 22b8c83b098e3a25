"""Which training videos of a set keep their labels.

Source: spec of SPOT, section 3.4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from ssdet.data.annotation_formats.text import read_text, rows
from ssdet.data.annotations import VideoRecord
from ssdet.randomness import generator

SHOWN = 5  # videos named in a message
KEY = "spot.labels.split_files"


def draw_unlabelled(
    records: Sequence[VideoRecord], share: float, seed: int
) -> frozenset[str]:
    """Draw the videos whose labels are not used, of each class in proportion.

    A video belongs to the class that most of its segments have (ties: the first). Of n
    videos of a class round(n * share) are drawn (ties to even), but never all.

    Args:
        records: the training videos.
        share: in [0, 1), of the videos without labels.
        seed: each share and seed is a draw of its own.

    Returns:
        Their ids.
    """
    classes: dict[str, list[str]] = {}
    for record in sorted(records, key=lambda record: record.video_id):
        classes.setdefault(_class_of(record), []).append(record.video_id)
    drawn: set[str] = set()
    for name, members in sorted(classes.items()):
        count = min(round(share * len(members)), len(members) - 1)
        source = generator(seed, "label_split", f"{share:g}", name)
        order = torch.randperm(len(members), generator=source).tolist()
        drawn |= {members[place] for place in order[:count]}
    return frozenset(drawn)


def read_unlabelled(
    path: Path, records: Sequence[VideoRecord], share: float
) -> frozenset[str]:
    """Read a published draw.

    Args:
        path: csv, plain or .gz: a column `video` (ids with or without v_), then one for
            each share, called by it with or without `unlabeled_` in front; 1 for videos
            whose labels are not used, else 0.
        records: the training videos.
        share: of the videos without labels.

    Returns:
        Their ids, as in `records`.

    Raises:
        ValueError: the file has no such column, something else than 0 or 1, or not all
            videos.
    """
    videos = read_rows(path, ("video",), KEY)
    columns = list(videos[0]) if videos else []
    column = next((name for name in columns if _share_of(name) == share), None)
    if column is None:
        raise ValueError(
            f"{path} has columns, but none for a share of {share:g} without labels"
            f" ({KEY}); it has {', '.join(columns) or 'no row'}"
        )
    wrong = [row["video"] for row in videos if row[column] not in ("0", "1")]
    if wrong:
        raise ValueError(
            f"{path}: column {column} should hold 0 and 1, but not so for"
            f" {', '.join(wrong[:SHOWN])}"
        )
    marks = {row["video"].removeprefix("v_"): row[column] == "1" for row in videos}
    ids = [record.video_id for record in records]
    absent = [v for v in ids if v.removeprefix("v_") not in marks]
    if absent:
        raise ValueError(
            f"{path} lacks {len(absent)} of {len(ids)} training videos:"
            f" {', '.join(absent[:SHOWN])}. Add them, or draw the split (take the data"
            " set out of spot.labels.split_files)"
        )
    return frozenset(v for v in ids if marks[v.removeprefix("v_")])


def _class_of(record: VideoRecord) -> str:
    labels = [segment.label for segment in record.segments]
    return Counter(labels).most_common(1)[0][0] if labels else ""


def _share_of(column: str) -> float | None:
    try:
        return float(column.removeprefix("unlabeled_"))
    except ValueError:
        return None


def read_rows(path: Path, columns: tuple[str, ...], key: str) -> list[dict[str, str]]:
    """The rows of a table that was published beside labels, plain or gzip.

    Args:
        path: csv with a header.
        columns: which it must have; it may have others.
        key: config key that names it, for messages.

    Raises:
        ValueError: the file cannot be read, or has rows of another length.
    """
    problems: list[str] = []
    found = [row for _, row in rows(path, read_text(path, key), columns, problems)]
    if problems:
        more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
        raise ValueError(f"{key}: {'; '.join(problems[:SHOWN])}{more}")
    return found
