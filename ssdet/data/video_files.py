"""Finds the video files of a data set."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from pathlib import Path

# ASSUME: what else lies beside the videos (lists, subtitles, partial downloads) has
# another suffix.
SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("3gp", "asf", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg"),
        *("mpg", "mts", "ogv", "ts", "vob", "webm", "wmv"),
    )
)
SHOWN = 20  # names in a message

log = logging.getLogger(__name__)


def find_videos(folder: Path, video_ids: Collection[str], name: str) -> dict[str, Path]:
    """Look for the file of each video in a folder and in all folders below it.

    Args:
        folder: where to look; links to folders are followed.
        video_ids: the files are called like these, and have the suffix of a video.
        name: of the data set, for messages.

    Returns:
        video_id -> file, for the videos that there are.

    Raises:
        ValueError: there is no such folder, or videos have several files.
    """
    if not folder.is_dir():
        raise ValueError(
            f"no folder of videos at {folder} (--videos, config key"
            f" datasets.{name}.videos)"
        )
    wanted = set(video_ids)
    found: dict[str, list[Path]] = {}
    visited: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, onerror=_warn, followlinks=True):
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in visited:  # a link to a folder above
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders.sort()
        for file in files:
            stem, suffix = os.path.splitext(file)
            if stem in wanted and suffix.lower() in SUFFIXES:
                found.setdefault(stem, []).append(Path(place, file))
    several = {stem: paths for stem, paths in found.items() if len(paths) > 1}
    unreadable = [paths[0] for paths in found.values() if not _is_text(paths[0])]
    if unreadable:
        names = ", ".join(repr(str(path)) for path in sorted(unreadable)[:SHOWN])
        raise ValueError(
            f"the paths of {len(unreadable)} videos of {name} are not UTF-8 text;"
            f" rename their folders: {names}"
        )
    if several:
        lines = [
            f"{stem}: {', '.join(map(str, sorted(paths)))}"
            for stem, paths in sorted(several.items())[:SHOWN]
        ]
        if len(several) > SHOWN:
            lines.append(f"... and {len(several) - SHOWN} more")
        raise ValueError(
            f"{len(several)} videos of {name} have several files below {folder}; keep"
            " one of each:\n  " + "\n  ".join(lines)
        )
    return {stem: paths[0] for stem, paths in found.items()}


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _warn(error: OSError) -> None:
    log.warning("cannot look into %s: %s", error.filename, error.strerror)
