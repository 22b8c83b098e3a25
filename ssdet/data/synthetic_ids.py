"""The ids of the generated videos, known before any of them exists.

The workflow plans with them, so this module needs neither torch, numpy nor PyAV.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import string

from ssdet.config import SPLITS, SyntheticConfig

YOUTUBE = string.ascii_letters + string.digits + "-_"
CHARADES = string.ascii_uppercase + string.digits
MAX_START_S = 290


def planned_ids(config: SyntheticConfig, seed: int) -> dict[str, dict[str, list[str]]]:
    """List the ids of both sets, in the order in which they are generated.

    Args:
        config: the section `synthetic`.
        seed: the config key `seed`.

    Returns:
        Name of the set -> "training" and "testing" -> ids.
    """
    span_s = math.ceil(config.clip_s[1])
    clips = _draw_ids(f"{seed} classification", 11, YOUTUBE, _counts(config, "clips"))
    videos = _draw_ids(f"{seed} detection", 5, CHARADES, _counts(config, "videos"))
    return {
        config.classification: {
            split: [_clip_id(name, span_s) for name in clips[split]] for split in SPLITS
        },
        config.detection: videos,
    }


def split_clip_id(video_id: str) -> tuple[str, int, int]:
    """Take an id of the classification set apart: youtube id, start and end in s."""
    youtube_id, start, end = video_id.rsplit("_", 2)
    return youtube_id, int(start), int(end)


def _clip_id(youtube_id: str, span_s: int) -> str:
    start_s = _hashed(f"start {youtube_id}") % (MAX_START_S + 1)
    return f"{youtube_id}_{start_s:06d}_{start_s + span_s:06d}"


def _counts(config: SyntheticConfig, what: str) -> dict[str, int]:
    return {split: getattr(config, f"{split}_{what}") for split in SPLITS}


def _draw_ids(
    key: str, length: int, alphabet: str, counts: dict[str, int]
) -> dict[str, list[str]]:
    """Draw ids that differ, also where file names ignore case."""
    seen: set[str] = set()
    ids: dict[str, list[str]] = {}
    for split, count in counts.items():
        ids[split] = []
        for index in range(count):
            names = (
                _name(f"{key} {split} {index} {attempt}", length, alphabet)
                for attempt in itertools.count()
            )
            name = next(name for name in names if name.lower() not in seen)
            seen.add(name.lower())
            ids[split].append(name)
    return ids


def _name(key: str, length: int, alphabet: str) -> str:
    number, letters = _hashed(key), []
    for _ in range(length):
        number, letter = divmod(number, len(alphabet))
        letters.append(alphabet[letter])
    return "".join(letters)


def _hashed(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")
