"""Which keys of two configurations differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

ABSENT = object()
LONGEST = 60  # characters of a value


def key_changes(key: str, old: Any, new: Any) -> Iterator[str]:
    """One line for each key whose value differs: `fine.learning_rate: 0.02 -> 0.01`.

    Args:
        key: of the values, dotted; empty for a whole configuration.
        old: plain JSON types.
        new: plain JSON types.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in [*old, *(name for name in new if name not in old)]:
            below = f"{key}.{name}" if key else str(name)
            yield from key_changes(below, old.get(name, ABSENT), new.get(name, ABSENT))
    elif old != new:
        yield f"{key}: {_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    if value is ABSENT:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
