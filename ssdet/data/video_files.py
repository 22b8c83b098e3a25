"""Finds the video files of a data set, or its folders of frames."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ssdet.data import frame_folder

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


def find_videos(
    folder: Path,
    video_ids: Collection[str],
    name: str,
    also: Mapping[str, Iterable[str]] | None = None,
) -> dict[str, Path]:
    """Look for the file of each video in a folder and in all folders below it.

    Args:
        folder: where to look; links to folders are followed.
        video_ids: the files are called like these, and have the suffix of a video; or
            folders are, and hold JPEG frames.
        name: of the data set, for messages.
        also: other names that the files of a video may have; one that ends in / is
            only the name of a folder of frames.

    Returns:
        video_id -> file or folder, for the videos that there are.

    Raises:
        ValueError: there is no such folder, or videos have several files.
    """
    if not folder.is_dir():
        raise ValueError(
            f"no folder of videos at {folder} (--videos, config key"
            f" datasets.{name}.videos)"
        )
    of_file, of_folder = _names(video_ids, also or {})
    found: dict[str, list[Path]] = {}
    visited: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, onerror=_warn, followlinks=True):
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in visited:  # a link to a folder above
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders.sort()
        videos = []
        for file in files:
            stem, suffix = os.path.splitext(file)
            if stem in of_file and suffix.lower() in SUFFIXES:
                found.setdefault(of_file[stem], []).append(Path(place, file))
                videos.append(file)
        video_id = of_folder.get(os.path.basename(place))
        # A picture beside a video makes no folder of frames.
        if video_id is not None and not videos and any(map(_is_frame, files)):
            found.setdefault(video_id, []).append(Path(place))
            folders.clear()
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


def is_frame_folder(path: Path) -> bool:
    """Whether what was found of a video is a folder of frames, not a file."""
    return path.suffix.lower() not in SUFFIXES


def _names(
    video_ids: Collection[str], also: Mapping[str, Iterable[str]]
) -> tuple[dict[str, str], dict[str, str]]:
    """Name -> video_id, of files and of folders; what could mean two is left out."""
    of_file = {video_id: video_id for video_id in video_ids}
    of_folder = dict(of_file)
    unclear: set[str] = set()
    for video_id in video_ids:
        for other in also.get(video_id, ()):
            known = (of_folder,) if other.endswith("/") else (of_file, of_folder)
            for names in known:
                if names.setdefault(other.rstrip("/"), video_id) != video_id:
                    unclear.add(other.rstrip("/"))
    for other in unclear - set(video_ids):
        of_file.pop(other, None)
        of_folder.pop(other, None)
    return of_file, of_folder


def _is_frame(file: str) -> bool:
    return os.path.splitext(file)[1].lower() in frame_folder.SUFFIXES


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _warn(error: OSError) -> None:
    log.warning("cannot look into %s: %s", error.filename, error.strerror)
