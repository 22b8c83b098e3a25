"""Text that others wrote: JSON of any content, and what may be shown of it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Unicode: controls, surrogates, line separators. A terminal obeys them, csv and XML
# cannot hold all of them, and file names with them are traps.
CONTROL = ("Cc", "Cs", "Zl", "Zp")
KEPT = "\n\t"  # of a message


def parse_json(
    text: str | bytes,
    where: str | Path,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """What a JSON text says, whoever wrote it.

    Args:
        text: in UTF-8, if it is bytes.
        where: the file, for the message.
        pairs: makes something else than a dict of the names and values of an object.

    Raises:
        ValueError: it is no JSON, too deeply nested, or has a number of thousands of
            digits.
    """
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        return json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}:{error.lineno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise ValueError(f"{where}: not JSON: nested too deeply") from None
    except ValueError as error:  # bytes that are no text, digits without end
        raise ValueError(f"{where}: not JSON: {error}") from None


def control_characters(text: str) -> bool:
    """Whether a text has characters that are not to be seen but to be obeyed."""
    return not text.isprintable() and any(
        unicodedata.category(character) in CONTROL for character in text
    )


def printable(text: str) -> str:
    """A message without control characters but line breaks; escapes stand for them."""
    if not control_characters(text.replace("\n", "")):
        return text
    return "".join(
        character
        if character in KEPT or not control_characters(character)
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )
