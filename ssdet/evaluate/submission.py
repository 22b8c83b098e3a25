"""The text file of the Charades localization challenge, both ways.

One line for each video and instant: `id number s_0 ... s_K-1`, blanks between, numbers
1 to 25.

Source: heads_and_evaluation, section 4.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssdet.data.frame_labels import INSTANTS
from ssdet.files import atomic

SHOWN = 5  # bad lines named in a message


def write_submission(
    path: str | Path, videos: Iterable[tuple[str, npt.ArrayLike]]
) -> None:
    """Write scores with as many digits as it takes to read back the same numbers.

    Six digits, the usual format, make ties.

    Args:
        path: the text file; written whole or not at all.
        videos: (video_id, scores (25, K)) of each video, finite; logits will do.

    Raises:
        ValueError: a video's scores have another shape or are not finite, or its id
            holds a blank.
    """
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for video_id, scores in videos:
            if len(video_id.split()) != 1:
                raise ValueError(
                    f"video {video_id!r}: the format has blanks between fields, so an"
                    " id must not hold any"
                )
            rows = np.asarray(scores, dtype=np.float64)
            if rows.ndim != 2 or len(rows) != INSTANTS or not np.isfinite(rows).all():
                raise ValueError(
                    f"video {video_id}: scores must be ({INSTANTS}, classes) and"
                    f" finite, got {rows.shape}"
                )
            for number, row in enumerate(rows, start=1):
                text = " ".join(map(repr, row.tolist()))  # the fewest exact digits
                file.write(f"{video_id} {number} {text}\n")


def read_submission(
    path: str | Path, video_ids: Sequence[str], classes: int
) -> tuple[npt.NDArray[np.float64], int]:
    """Read a submission as the official script does.

    Lines may be in any order; those of other videos or other numbers are ignored; of
    two lines for the same instant the last counts; if the smallest number of the whole
    file is 0, all count from 0.

    Args:
        path: the text file.
        video_ids: the V videos that are evaluated, in order.
        classes: number K of classes.

    Returns:
        Scores (V, 25, K), minus infinity for instants without a line, and the number
        of instants that have one.

    Raises:
        ValueError: a line has another number of fields, a field is no number, or a
            score is NaN; the first few lines are named.
    """
    lines, bad = [], []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            fields = line.split()
            if not fields:
                continue
            try:
                lines.append(_parsed(fields, classes))
            except ValueError as error:
                bad.append(f"line {number}: {error}")
    if bad:
        more = f" (and {len(bad) - SHOWN} more)" if len(bad) > SHOWN else ""
        raise ValueError(
            f"{path} is not a submission of {classes} classes; expected lines of an"
            f" id, a number and {classes} scores. {'; '.join(bad[:SHOWN])}{more}"
        )
    first = 0 if lines and min(number for _, number, _ in lines) == 0 else 1
    place = {video_id: row for row, video_id in enumerate(video_ids)}
    scores = np.full((len(video_ids), INSTANTS, classes), -np.inf)
    given = np.zeros(scores.shape[:2], dtype=np.bool_)
    for video_id, number, values in lines:
        if video_id in place and 0 <= number - first < INSTANTS:
            scores[place[video_id], number - first] = values
            given[place[video_id], number - first] = True
    return scores, int(given.sum())


def _parsed(
    fields: list[str], classes: int
) -> tuple[str, int, npt.NDArray[np.float64]]:
    if len(fields) != classes + 2:
        raise ValueError(f"{len(fields)} fields instead of {classes + 2}")
    values = np.array(fields[2:], dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError("a score is NaN")
    return fields[0], int(fields[1]), values
