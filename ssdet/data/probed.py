"""What is learnt of a video by reading all of it, and a memory of that.

The memory is a file of JSON lines in a folder beside the inventory, so that a run that
was killed goes on where it was. It is keyed by path, size and time of change.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from ssdet.data.frame_folder import FrameFolder
from ssdet.data.video import VideoError, probe
from ssdet.files import sha256, writing

MEMORY = 1  # counts changes of what is learnt; lines of another count are not read


@dataclass(frozen=True)
class Probed:
    """The columns of the inventory that a file decides; numbers are 0 unless ok."""

    status: str
    reason: str
    fps: float = 0.0
    frames: int = 0
    duration_s: float = 0.0
    width: int = 0
    height: int = 0
    rotation: int = 0
    codec: str = ""
    sha256: str = ""


def probe_file(path: Path) -> Probed:
    """Hash and decode one file; whatever is wrong with it becomes its reason."""
    digest = ""
    try:
        digest = sha256(path)
        found = probe(path)
    except ImportError:
        raise ValueError(
            "reading videos needs PyAV, which is not installed: pip install av"
        ) from None
    except VideoError as error:
        return Probed("corrupt", str(error), sha256=digest)
    except OSError as error:
        return Probed("corrupt", f"cannot be read: {error.strerror or error}")
    except Exception as error:  # one bad file never stops the others
        reason = f"cannot be decoded: {type(error).__name__}: {error}"
        return Probed("corrupt", reason, sha256=digest)
    reason = ""
    if found.damaged:
        reason = f"{found.damaged} of {found.frames} frames are damaged"
    duration_s = round(found.duration_s, 9)
    return Probed(
        "ok",
        reason,
        round(found.frames / duration_s, 9),
        found.frames,
        duration_s,
        found.width,
        found.height,
        found.rotation,
        found.codec,
        digest,
    )


def probe_folder(path: Path, fps: float | None) -> Probed:
    """Read all frames of a folder; whatever is wrong with it becomes the reason.

    Args:
        path: the folder.
        fps: rate at which the frames lie; None: not known.
    """
    if fps is None:
        return Probed(
            "corrupt",
            "a folder of frames does not tell their rate: set the data set's fps",
        )
    try:
        folder = FrameFolder(path)
        digest, height, width = folder.check()
    except ImportError:
        raise ValueError(
            "reading frames needs Pillow, which is not installed: pip install pillow"
        ) from None
    except VideoError as error:
        return Probed("corrupt", str(error))
    except OSError as error:
        return Probed("corrupt", f"cannot be read: {error.strerror or error}")
    except Exception as error:  # one bad folder never stops the others
        return Probed("corrupt", f"cannot be read: {type(error).__name__}: {error}")
    seconds = round(len(folder) / fps, 9)
    return Probed("ok", "", fps, len(folder), seconds, width, height, 0, "jpeg", digest)


def died(path: Path) -> Probed:
    """What is known of a file that killed the process which decoded it."""
    return Probed(
        "corrupt",
        "decoding it killed the process: the decoder crashed or memory ran out",
    )


class ProbedFiles:
    """Remembers usable files that an interrupted run has probed.

    Others are probed again: what was wrong may be mended without a trace, e.g. a
    permission.
    """

    def __init__(self, folder: Path) -> None:
        """Read what there is.

        Args:
            folder: holds the memory; is made when something is added.
        """
        self._folder = folder
        self._file = folder / "probed.jsonl"
        self._known: dict[str, Probed] = {}
        if self._file.is_file():
            for line in self._file.read_text(encoding="utf-8").splitlines():
                try:
                    key, values = json.loads(line)
                    self._known[key] = Probed(**values)
                except (ValueError, TypeError):
                    continue  # half written when the run was killed
        self._torn = self._file.is_file()

    def get(self, path: Path) -> Probed | None:
        """What is remembered of a file as it is now."""
        return self._known.get(_key(path) or "")

    def add(self, path: Path, result: Probed) -> None:
        """Remember a file, if it is usable."""
        if result.status != "ok":
            return
        line = json.dumps([_key(path), asdict(result)])
        with writing(self._file):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(line)

    def _write(self, line: str) -> None:
        with open(self._file, "a", encoding="utf-8") as file:
            # A torn last line must not spoil the next one.
            file.write(("\n" if self._torn else "") + line + "\n")
        self._torn = False

    def remove(self) -> None:
        """Forget everything: the inventory is written."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _key(path: Path) -> str | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return f"{MEMORY}|{path}|{status.st_size}|{status.st_mtime_ns}"
