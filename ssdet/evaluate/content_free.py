"""Detections of one who never looks at a video: what every detector must leave behind.

Each video is one segment, from its start to its end. Source: spec of SPOT, section 2.3.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ssdet.data.annotations import VideoRecord
from ssdet.evaluate.detections import Detection
from ssdet.texts import parse_json

SHOWN = 5  # videos named in a message
Guess = tuple[str, float]  # label and score of a whole video


def whole_video(
    durations_s: Mapping[str, float], guesses: Mapping[str, Guess]
) -> dict[str, list[Detection]]:
    """One segment for each video that has a guess.

    Args:
        durations_s: of the videos.
        guesses: label and score of each video, known without looking at when.
    """
    return {
        video_id: [Detection(0.0, durations_s[video_id], *guess)]
        for video_id, guess in guesses.items()
    }


def most_frequent(records: Sequence[VideoRecord]) -> str:
    """The class that is shown in most of these videos; ties: the first by name.

    Raises:
        ValueError: no video shows any.
    """
    shown = Counter(
        label for record in records for label in {s.label for s in record.segments}
    )
    if not shown:
        raise ValueError("no video shows an action, so no class is the most frequent")
    return min(shown, key=lambda label: (-shown[label], label))


def read_guesses(path: Path, classes: Sequence[str]) -> dict[str, Guess]:
    """Read what another program says of whole videos.

    Args:
        path: JSON {video: {"class": name, "score": number}}; ids with or without v_.
        classes: names that may occur.

    Returns:
        Label and score by video id without v_.

    Raises:
        ValueError: the file is not of this form, or has other classes.
    """
    try:
        content = parse_json(path.read_bytes(), path)
        guesses = {
            video_id.removeprefix("v_"): (str(entry["class"]), float(entry["score"]))
            for video_id, entry in content.items()
        }
        if not all(math.isfinite(score) for _, score in guesses.values()):
            raise ValueError("a score is not finite")
    except (
        *(OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError),
    ) as error:
        raise ValueError(
            f"{path} (spot.detect.external_scores) should be JSON"
            f' {{video: {{"class": name, "score": number}}}}: {error}'
        ) from None
    known = set(classes)
    wrong = [v for v, (label, _) in guesses.items() if label not in known]
    if wrong:
        raise ValueError(
            f"{path} (spot.detect.external_scores) names {len(wrong)} videos by classes"
            f" that the data set does not have: {', '.join(wrong[:SHOWN])}"
        )
    return guesses
