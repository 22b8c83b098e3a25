"""What of a test set a file covers, and the refusal of a file that does not cover it.

A score over some of the videos is another score: it is only given if asked for, and
then says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ssdet.stage import StageError

SHOWN = 10  # names in a message


@dataclass(frozen=True)
class Coverage:
    """How the videos of a file compare with those of the test set.

    Attributes:
        expected: number of test videos.
        missing: test videos that the file says nothing of.
        unknown: videos of the file that are no test videos.
        others: what else is too little or too much -> how often, in words that go with
            a number: "lines repeat an earlier one".
    """

    expected: int
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    others: Mapping[str, int] = field(default_factory=dict)

    @property
    def evaluated(self) -> int:
        """Number of test videos that the file covers."""
        return self.expected - len(self.missing)

    @property
    def complaints(self) -> list[str]:
        """Everything that is not as expected, in words; empty if nothing is."""
        found = []
        if self.missing:
            found.append(
                f"{len(self.missing):,} of {self.expected:,} test videos are missing"
                f" ({some(self.missing)})"
            )
        if self.unknown:
            found.append(
                f"{len(self.unknown):,} of its videos are no test videos"
                f" ({some(self.unknown)})"
            )
        found += [f"{count:,} {what}" for what, count in self.others.items() if count]
        return found

    def as_json(self) -> dict[str, Any]:
        """The `videos` of a result."""
        return {
            "expected": self.expected,
            "evaluated": self.evaluated,
            "missing": len(self.missing),
            "missing_videos": list(self.missing),
            "unknown_videos": list(self.unknown),
            "others": {what: count for what, count in self.others.items() if count},
        }


def coverage(expected: Sequence[str], found: Iterable[str], **others: int) -> Coverage:
    """Compare the videos of a file with the test videos.

    Args:
        expected: ids of the test videos.
        found: ids of the videos of the file.
        others: see `Coverage`, with _ between words.
    """
    known, given = set(expected), set(found)
    return Coverage(
        len(known),
        tuple(video_id for video_id in expected if video_id not in given),
        tuple(sorted(given - known)),
        {what.replace("_", " "): count for what, count in others.items()},
    )


def refuse_incomplete(path: object, covered: Coverage, dataset: str) -> None:
    """See that a file covers the test set, no less and no more.

    Raises:
        StageError: it does not; all complaints are listed.
    """
    if covered.complaints:
        raise StageError(
            f"{path} does not cover the test set of {dataset}:"
            f" {'; '.join(covered.complaints)}. Complete the file, or give --incomplete"
            " to have it scored as it is: the result will say so"
        )


def some(names: Sequence[str]) -> str:
    """The first few of some names."""
    more = f", ... and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
