"""JSON files that carry a hash of what they say: a changed digit is noticed.

A number in which a bit has turned is a number still. Files without the hash, written
before or by others, are read as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ssdet.files import sha256_text

KEY = "content_sha256"


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with its hash as the last key.

    Args:
        content: what `json.dumps` takes, with texts as keys.
    """
    plain = json.loads(json.dumps(content, allow_nan=False))
    return {**content, KEY: _hash(plain)}


def opened(content: dict[str, Any]) -> dict[str, Any]:
    """What was read, without the hash.

    Raises:
        ValueError: it is not what was written.
    """
    rest = {key: value for key, value in content.items() if key != KEY}
    if KEY in content and content[KEY] != _hash(rest):
        raise ValueError(f"its {KEY} does not fit: it is damaged, or was edited")
    return rest


def _hash(content: Mapping[str, Any]) -> str:
    return sha256_text(json.dumps(content, sort_keys=True))
