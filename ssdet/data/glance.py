"""A quick look at a video: what its container states, and whether one frame decodes.

It takes milliseconds where the inventory, which decodes every frame, takes seconds, and
does not see damage that lies deeper in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ssdet.data.frame_folder import FrameFolder, open_jpeg
from ssdet.data.video import Video, VideoError
from ssdet.data.video_files import is_frame_folder


@dataclass(frozen=True)
class Glance:
    """What a quick look tells.

    Attributes:
        reason: why the video cannot be used; empty if nothing speaks against it.
        fps: frames/s; 0 if they are not stated.
        duration_s: seconds; 0 if they are not stated.
    """

    reason: str = ""
    fps: float = 0.0
    duration_s: float = 0.0


def glance(path: Path, folder_fps: float | None) -> Glance:
    """Look at a video file or a folder of frames.

    Args:
        path: of it.
        folder_fps: frames/s of folders; None: not known.
    """
    try:
        if is_frame_folder(path):
            return _folder(path, folder_fps)
        with Video(path) as video:
            fps, duration_s = video.stated()
            video.first_frame()
            return Glance("", fps, duration_s)
    except ImportError:
        raise ValueError(
            "looking at videos needs PyAV and Pillow: pip install av pillow"
        ) from None
    except VideoError as error:
        return Glance(str(error))
    except OSError as error:
        return Glance(f"cannot be read: {error.strerror or error}")
    except Exception as error:  # one bad file never stops the others
        return Glance(f"cannot be decoded: {type(error).__name__}: {error}")


def died(path: Path) -> Glance:
    """What is known of a file that killed the process which looked at it."""
    return Glance("looking at it killed the process: the decoder crashed")


def _folder(path: Path, fps: float | None) -> Glance:
    folder = FrameFolder(path)
    if fps is None:
        return Glance("a folder of frames does not tell their rate: set the set's fps")
    open_jpeg(folder.frames[0].read_bytes(), folder.frames[0])
    return Glance("", fps, len(folder) / fps)
