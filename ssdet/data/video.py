"""Decodes video files: frames with the times at which they are shown, upright.

PyAV is needed to decode, and imported only then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssdet.data.picture_size import PIXELS
from ssdet.data.time_order import in_order

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Share of a video's frames that may be damaged, or fewer than its container states.
# ASSUME: a few concealed or dropped frames do not change what happens in a video.
TOLERATED = 0.05
TOLERATED_S = 1.0  # containers state durations, not frames: of the longest track
LONGEST_S = 86_400.0  # a day; a stranger's file may show a frame for years

# Containers of videos, and nothing that makes FFmpeg open other files or addresses:
# playlists are told by their content, whatever a file is called.
CLOSED = {
    "format_whitelist": "mov,matroska,avi,asf,flv,mpegts,mpeg,mpegvideo,ogg,m4v,h264",
    "protocol_whitelist": "file",
}
LIMITS = {"max_pixels": str(PIXELS)}  # of decoders


class VideoError(ValueError):
    """A file that cannot be decoded; the message is the reason."""


@dataclass(frozen=True)
class Shown:
    """A decoded frame and when it is shown, in seconds after the first one's start."""

    frame: av.VideoFrame
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Probe:
    """What decoding a whole video tells.

    Attributes:
        frames: how many were decoded.
        duration_s: from the start of the first frame to the end of the last.
        width: pixels, upright.
        height: pixels, upright.
        rotation: degrees clockwise (0, 90, 180, 270) that turn stored frames upright.
        codec: name of the codec.
        damaged: frames of which the decoder had to make up parts.
    """

    frames: int
    duration_s: float
    width: int
    height: int
    rotation: int
    codec: str
    damaged: int


def probe(path: str | Path) -> Probe:
    """Decode a video once from its first frame to its last.

    Raises:
        VideoError: it cannot be decoded, has no frames, or is not whole.
    """
    with Video(path) as video:
        frames, damaged, end_s = 0, 0, 0.0
        first: av.VideoFrame | None = None
        for shown in video.frames():
            first = first or shown.frame
            frames, end_s = frames + 1, shown.end_s
            damaged += bool(shown.frame.is_corrupt)
        if first is None:
            raise VideoError("no frame could be decoded")
        video.check_whole(frames, end_s)
        if damaged > TOLERATED * frames:
            raise VideoError(f"{damaged} of {frames} frames are damaged")
        turn = rotation(first)
        width, height = first.width, first.height
        if turn in (90, 270):
            width, height = height, width
        return Probe(frames, end_s, width, height, turn, video.codec, damaged)


class Video:
    """An open video file; its first video stream, decoded by one thread."""

    def __init__(self, path: str | Path) -> None:
        """Open a file.

        Raises:
            VideoError: it is not a video, or one of larger pictures than any.
            OSError: it cannot be read.
        """
        import av

        with open(path, "rb") as file:  # a clear error if it is absent or forbidden
            if not file.read(1):
                raise VideoError("the file is empty")
        try:
            self._container: InputContainer = av.open(
                str(path), options=CLOSED | LIMITS
            )
        except av.FFmpegError as error:
            raise VideoError(f"not a video: {_reason(error)}") from None
        stream: Any = self._container.streams.best("video")
        if stream is None or stream.codec_context is None:
            self._container.close()
            raise VideoError("the file has no video stream that can be decoded")
        context = stream.codec_context
        try:
            see_possible(context.height, context.width)
        except VideoError:
            self._container.close()
            raise
        stream.thread_type = "NONE"
        context.thread_count, context.options = 1, LIMITS
        self._stream: VideoStream = stream
        self._stated_frames, self._stated_s = _stated(self._container, stream)
        self._hidden = 0

    @property
    def codec(self) -> str:
        """Name of the codec, e.g. h264."""
        return str(self._stream.codec_context.codec.name)

    def stated(self) -> tuple[float, float]:
        """Frames/s and seconds as the container states them; 0 where it does not."""
        unit_s = float(self._stream.time_base or 0)
        seconds = (self._stream.duration or 0) * unit_s
        if not seconds:
            seconds = (self._container.duration or 0) / 1e6
        rate = self._stream.average_rate or self._stream.guessed_rate or 0
        return float(rate), seconds

    def first_frame(self) -> av.VideoFrame:
        """Decode one frame.

        Raises:
            VideoError: none can be decoded.
        """
        for frame in self._decoded():
            return frame
        raise VideoError("no frame could be decoded")

    def frames(self) -> Iterator[Shown]:
        """Decode from the first frame to the last; a few are held.

        The frames come in the order in which they are shown. Where their timestamps
        are not in that order (AVI has none, they are guessed), they are sorted.

        Raises:
            VideoError: a frame cannot be decoded.
        """
        held: Shown | None = None
        origin_s = 0.0
        for time_s, (frame, length_s) in in_order(self._timed()):
            if held is None:
                origin_s = time_s
            start_s = time_s - origin_s
            _see_short(start_s)
            if held is not None:
                if start_s < held.start_s:
                    raise VideoError(
                        f"timestamps go back from {held.start_s:.2f} s to"
                        f" {start_s:.2f} s; write the file anew with right ones"
                    )
                yield Shown(held.frame, held.start_s, start_s)
            held = Shown(frame, start_s, start_s + length_s)
        if held is not None:
            _see_short(held.end_s)
            yield held

    def _timed(self) -> Iterator[tuple[float, tuple[av.VideoFrame, float]]]:
        """Each frame with its timestamp, or a likely one, and its stated length."""
        unit_s = float(self._stream.time_base or 0)
        rate = self._stream.average_rate or self._stream.guessed_rate or 25
        usual_s = 1 / float(rate)
        next_s = 0.0
        for frame in self._decoded():
            time_s = next_s if frame.pts is None else frame.pts * unit_s
            length_s = (frame.duration or 0) * unit_s or usual_s
            next_s = time_s + length_s
            yield time_s, (frame, length_s)

    def check_whole(self, frames: int, duration_s: float) -> None:
        """Compare what was decoded with what the container states.

        Raises:
            VideoError: clearly less was decoded: the file is truncated.
        """
        found, stated = frames + self._hidden, self._stated_frames
        if stated is not None and found < (1 - TOLERATED) * stated:
            raise VideoError(
                f"truncated: {found} frames could be decoded, the container states"
                f" {stated}"
            )
        if self._stated_s is not None and duration_s < self._stated_s - max(
            TOLERATED_S, TOLERATED * self._stated_s
        ):
            raise VideoError(
                f"truncated: {duration_s:.2f} s could be decoded, the container states"
                f" {self._stated_s:.2f} s"
            )

    def _decoded(self) -> Iterator[av.VideoFrame]:
        import av

        done = 0
        try:
            for packet in self._container.demux(self._stream):
                self._hidden += bool(packet.size and packet.is_discard)
                for frame in packet.decode():
                    done += 1
                    yield frame
        except av.FFmpegError as error:
            raise VideoError(
                f"damaged or truncated: decoding stopped after {done} frames:"
                f" {_reason(error)}"
            ) from None

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()


def rotation(frame: av.VideoFrame) -> int:
    """Degrees clockwise, 0, 90, 180 or 270, that turn a frame upright."""
    return -90 * round(frame.rotation / 90) % 360


def see_possible(height: int, width: int) -> None:
    """See that there may be pictures of this size.

    Raises:
        VideoError: they are larger than any that a camera makes.
    """
    if height * width > PIXELS:
        raise VideoError(
            f"its pictures have {width} x {height} pixels; at most {PIXELS} in all can"
            " be read, scale it down"
        )


def target_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Height and width with the given short side and the same aspect.

    The long side is rounded to an even number; a square stays a square.

    Raises:
        VideoError: the long side is so long that there are no such pictures.
    """
    if height == width:
        return short_side, short_side
    long_side = 2 * round(max(height, width) * short_side / min(height, width) / 2)
    long_side = max(long_side, short_side)
    if short_side * long_side > PIXELS:
        raise VideoError(
            f"its pictures have {width} x {height} pixels; with a short side of"
            f" {short_side} they would be too long ({long_side})"
        )
    return (short_side, long_side) if height < width else (long_side, short_side)


def _see_short(seconds: float) -> None:
    if seconds > LONGEST_S:
        raise VideoError(
            f"a frame is shown at {seconds:.0f} s; videos of over {LONGEST_S:.0f} s"
            " cannot be read, cut it into pieces"
        )


def _stated(
    container: InputContainer, stream: VideoStream
) -> tuple[int | None, float | None]:
    """What a container states of a stream: its frames, its seconds; None if not."""
    if "mp4" in container.format.name and stream.index_entries:
        return len(stream.index_entries), None  # after edit lists, unlike `frames`
    if stream.frames:
        return stream.frames, None
    text = stream.metadata.get("DURATION", "")  # Matroska
    try:
        hours, minutes, seconds = text.split(":")
        return None, int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        pass
    if "matroska" in container.format.name and len(container.streams) == 1:
        return None, container.duration / 1e6 if container.duration else None
    return None, None


def _reason(error: av.FFmpegError) -> str:
    return str(error.strerror or error)
