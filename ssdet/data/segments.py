"""What the segments of one video must satisfy, and how they are repaired.

A segment is reversed (it ends before it starts), of zero length, or past the end (it
ends after the video). `repair` drops the first two, cuts the third at the video's end
(drops it if nothing is left) and keeps one of several identical segments; each is
counted. `refuse` reports the first three.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ssdet.data.annotation_formats import RawSegment

KINDS = ("reversed", "zero_length", "past_end", "duplicate", "without_actions")
REFUSED = (" is reversed", " has zero length", " is past the end", " starts at the end")
FRAME_S = 0.05  # ends this far behind the video's end are rounding, one frame at most


def repair(
    segments: Iterable[RawSegment], duration_s: float | None, counts: Counter[str]
) -> list[RawSegment]:
    """Drop and cut the segments of one video until all are possible.

    Args:
        segments: as written.
        duration_s: of the video; None: not known, nothing is past the end.
        counts: is added to, by kind.
    """
    kept = []
    for segment in segments:
        if segment.end_s <= segment.start_s:
            counts[_shape(segment)] += 1
            continue
        if duration_s is not None and segment.end_s > duration_s:
            counts["past_end"] += 1
            segment = _cut(segment, duration_s)
            if segment.end_s <= segment.start_s:
                continue
        kept.append(segment)
    return kept


def refuse(
    segments: Iterable[RawSegment], duration_s: float | None, problems: list[str]
) -> list[RawSegment]:
    """Note every impossible segment of one video as a problem.

    Args:
        segments: as written.
        duration_s: of the video; None: not known, nothing is past the end.
        problems: is added to.

    Returns:
        The possible ones; an end not more than FRAME_S late is cut.
    """
    kept = []
    for segment in segments:
        place = (
            f"{segment.where}: {segment.label} from {segment.start_s:g} s to"
            f" {segment.end_s:g} s"
        )
        if segment.end_s < segment.start_s:
            problems.append(f"{place} is reversed")
        elif segment.end_s == segment.start_s:
            problems.append(f"{place} has zero length")
        elif duration_s is not None and segment.end_s > duration_s + FRAME_S:
            problems.append(f"{place} is past the end, the video has {duration_s:g} s")
        elif duration_s is not None and segment.start_s >= duration_s:
            problems.append(f"{place} starts at the end ({duration_s:g} s) or after it")
        elif duration_s is not None:
            kept.append(_cut(segment, duration_s))
        else:
            kept.append(segment)
    return kept


def without_duplicates(
    segments: Iterable[RawSegment], counts: Counter[str]
) -> list[RawSegment]:
    """Keep the first of each group of identical segments, and count the others."""
    first: dict[tuple[float, float, str], RawSegment] = {}
    for segment in segments:
        key = (segment.start_s, segment.end_s, segment.label)
        if key in first:
            counts["duplicate"] += 1
        else:
            first[key] = segment
    return list(first.values())


def _shape(segment: RawSegment) -> str:
    return "reversed" if segment.end_s < segment.start_s else "zero_length"


def _cut(segment: RawSegment, duration_s: float) -> RawSegment:
    end_s = min(segment.end_s, duration_s)
    return RawSegment(segment.start_s, end_s, segment.label, segment.where)
