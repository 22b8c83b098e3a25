"""Names from data sets, as text in figures."""

from __future__ import annotations

LONGEST = 48  # characters


def plain(text: str) -> str:
    """Text that Matplotlib shows as it is, cut if it is very long."""
    if len(text) > LONGEST:
        text = text[: LONGEST - 1] + "…"
    return text.replace("$", r"\$")
