"""Reads class lists: which classes there are, and in which order."""

from __future__ import annotations

import re
from pathlib import Path

from ssdet.data.annotation_formats.text import read_text

# A class's number, where the list has one, and its name.
NUMBERED = re.compile(r"(\d{1,9})\s*[,\s]\s*(.+)")
CHARADES = re.compile(r"c(\d{1,9})")


def read_classes(path: Path, format: str, problems: list[str]) -> dict[str, str]:
    """Read a class list: the word used in the label files -> the class, in order.

    charades: lines "c000 Holding some clothes", the class is c000; multithumos: a
    number and a name, with comma or space between, below a header or not; activitynet
    and thumos14: the same, or the name alone; kinetics and table: one class on each
    line. Numbers must rise from line to line: networks count classes in that order.

    Args:
        path: the file.
        format: of the label files.
        problems: is added to.
    """
    classes: dict[str, str] = {}
    last = -1
    for count, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        found = _entry(line.strip(), format, count)
        if found is None:
            problems.append(
                f"{path}:{count}: {line.strip()!r} should be a number and a name"
            )
            continue
        number, word, name = found
        if not name:
            continue  # the header
        if number is not None and number <= last:
            problems.append(
                f"{path}:{count}: class {number} stands below class {last}; sort the"
                " list, its order is that of the network's outputs"
            )
        last = last if number is None else number
        if word in classes or name in classes.values():
            problems.append(f"{path}:{count}: class {name!r} is listed twice")
        classes[word] = name
    if not classes:
        problems.append(f"{path}: lists no class")
    return classes


def _entry(line: str, format: str, count: int) -> tuple[int | None, str, str] | None:
    """Number, word in the label files and name of a line; None if it makes no sense.

    The name is empty if the line is a header.
    """
    if format in ("kinetics", "table"):
        return None, line, line
    if format == "charades":
        name = line.split()[0]
        numbered = CHARADES.fullmatch(name)
        return int(numbered[1]) if numbered else None, name, name
    if count == 1 and line.split(",")[0].lower() in ("index", "action", "class"):
        return None, "", ""
    numbered = NUMBERED.fullmatch(line)
    if format == "multithumos":
        if numbered is None:
            return None if count > 1 else (None, "", "")
        name = numbered[2].split(",")[0].strip()
        return int(numbered[1]), str(int(numbered[1])), name
    if numbered is None:
        return None, line, line
    return int(numbered[1]), numbered[2], numbered[2]
