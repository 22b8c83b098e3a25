"""The videos of an inventory: those that are other than when it was made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ssdet.commands.lineage.records import is_inventory
from ssdet.data.frame_folder import FrameFolder
from ssdet.data.inventory import InventoryRow, read_inventory
from ssdet.data.video import VideoError
from ssdet.data.video_files import is_frame_folder
from ssdet.files import sha256
from ssdet.progress import Progress


def inventory_rows(path: Path) -> tuple[InventoryRow, ...]:
    """The rows of an inventory; none if the file is something else.

    Raises:
        ValueError: it is an inventory with bad rows.
    """
    return tuple(read_inventory(path)) if is_inventory(path) else ()


def other_videos(rows: list[InventoryRow]) -> list[str]:
    """Hash the videos of an inventory; returns those with another hash now."""
    other = []
    with Progress(len(rows), "provenance", "video") as progress:
        for row in rows:
            if digest(Path(row.path)) != row.sha256:
                other.append(row.video_id)
            progress.advance()
    return other


def digest(path: Path) -> str:
    """Hash of a video file, or of a folder of frames; empty if it cannot be read."""
    try:
        return FrameFolder(path).check()[0] if is_frame_folder(path) else sha256(path)
    except (VideoError, OSError):
        return ""


def video_changes(
    first: Iterable[InventoryRow], second: Iterable[InventoryRow]
) -> dict[str, list[str]]:
    """Videos that only one of two inventories has, or that are other in the second.

    Returns:
        `added`, `removed` and `changed`: their ids, sorted; where the videos lie does
        not matter.
    """
    old = {row.video_id: _content(row) for row in first}
    new = {row.video_id: _content(row) for row in second}
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(v for v in old.keys() & new.keys() if old[v] != new[v]),
    }


def _content(row: InventoryRow) -> tuple[object, ...]:
    return (row.sha256, row.status, row.frames, row.fps, row.duration_s)
