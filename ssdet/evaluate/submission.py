"""The text file of the Charades localization challenge, both ways.

One line for each video and instant: `id number s_0 ... s_K-1`, blanks between, numbers
1 to 25.

Source: heads_and_evaluation, section 4.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Submission:
    """Scores of a submission, and what it has too little or too much of.

    Attributes:
        scores: (V, 25, K); an instant without a line scores -inf.
        given: (V, 25), whether an instant has a line.
        unknown: ids that are not asked for, in the file's order.
        outside: lines of known videos with other numbers than those of the 25 instants.
        repeated: lines whose video and instant come again later; the last one counts.
    """

    scores: npt.NDArray[np.float64]
    given: npt.NDArray[np.bool_]
    unknown: tuple[str, ...]
    outside: int
    repeated: int


def read_submission(
    path: str | Path, video_ids: Sequence[str], classes: int
) -> Submission:
    """Read a submission as the official script does.

    Numbers may start at 0 or 1. Lines may have any order; ids and numbers that are not
    asked for are left out; the last line of a video and number counts.

    Args:
        path: the text file.
        video_ids: the V videos, in the order in which the rows are ranked.
        classes: number K of classes.

    Raises:
        ValueError: a line has another number of fields, a field is no number, or a
            score is NaN; the first few lines are named.
    """
    place = {video_id: row for row, video_id in enumerate(video_ids)}
    scores = np.full((len(video_ids), INSTANTS, classes), -np.inf)
    count = np.zeros(scores.shape[:2], dtype=np.int64)
    unknown: dict[str, None] = {}
    outside = 0
    lines = _lines(path, classes)
    first = 0 if lines and min(number for _, number, _ in lines) == 0 else 1
    for video_id, number, values in lines:
        if video_id not in place:
            unknown[video_id] = None
        elif not 0 <= number - first < INSTANTS:
            outside += 1
        else:
            scores[place[video_id], number - first] = values
            count[place[video_id], number - first] += 1
    repeated = int((count - (count > 0)).sum())
    return Submission(scores, count > 0, tuple(unknown), outside, repeated)


def _lines(
    path: str | Path, classes: int
) -> list[tuple[str, int, npt.NDArray[np.float64]]]:
    lines, bad = [], []
    with open(path, encoding="utf-8", errors="backslashreplace") as file:
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
    return lines


def _parsed(
    fields: list[str], classes: int
) -> tuple[str, int, npt.NDArray[np.float64]]:
    if len(fields) != classes + 2:
        raise ValueError(f"{len(fields)} fields instead of {classes + 2}")
    values = np.array(fields[2:], dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError("a score is NaN")
    return fields[0], int(fields[1]), values
