"""Run a detector over whole videos: one centre view, one pass, batch of one.

Source: spec of SSDet, section 4 (test), and of Coarse-Fine, sections 1 and 3.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ssdet.augment.cropped_frames import read_centre
from ssdet.augment.spatial import normalise
from ssdet.config import SpatialConfig
from ssdet.data.annotations import VideoRecord
from ssdet.data.feature_store import FeatureStore
from ssdet.data.frame_store import FrameStore
from ssdet.data.grids import Sampling
from ssdet.data.sampling import Timeline, central_window
from ssdet.models import CoarseFine, EndToEnd, SlowFast, X3DDetector
from ssdet.models.grid_pool import TEMPERATURE
from ssdet.models.lateral import RATIO
from ssdet.models.x3d import FEATURES
from ssdet.stage import StageError
from ssdet.train.execution import FRAMES_AT_ONCE, autocast, channels_last


@dataclass(frozen=True)
class View:
    """How the frames of a whole video reach a network."""

    store: FrameStore
    spatial: SpatialConfig
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    device: torch.device
    precision: str = "auto"

    def read(self, video_id: str, timeline: Timeline, samples: int) -> Tensor:
        """The first `samples` sampled frames: (1, 3, samples, crop, crop), float."""
        frames = [timeline.frame_of_sample(i) for i in range(samples)]
        parts = [
            read_centre(
                self.store,
                video_id,
                frames[i : i + FRAMES_AT_ONCE],
                self.spatial.crop,
                self.device,
            )
            for i in range(0, samples, FRAMES_AT_ONCE)  # stored frames are larger
        ]
        images = torch.cat([part.transpose(0, 1) for part in parts])  # (T, 3, H, W)
        return normalise(images.transpose(0, 1)[None], self.mean, self.std)


def predict_fine(
    view: View,
    model: X3DDetector,
    record: VideoRecord,
    timeline: Timeline,
    alignment: str = "corners",
) -> tuple[np.ndarray, np.ndarray]:
    """Run a single-stream detector.

    Args:
        view: how the detector sees the video.
        model: the detector, in evaluation mode.
        record: the video.
        timeline: its clock.
        alignment: `corners`, the samples lie evenly from the first frame to the last
            (the published evaluation); `time`, each lies at its own time.

    Returns:
        Logits (T, K), one row for each sampled frame, and their times (T,) in seconds.
    """
    video = view.read(record.video_id, timeline, timeline.samples)
    with torch.inference_mode(), autocast(view.device, view.precision):
        logits = model(channels_last(video))  # (1, K, T)
    if alignment == "time":
        return _rows(logits), timeline.sample_times(timeline.samples)
    return _rows(logits), timeline.corner_times(timeline.samples)


def predict_slow(
    view: View, model: X3DDetector, record: VideoRecord, timeline: Timeline
) -> tuple[np.ndarray, np.ndarray]:
    """Run a single-stream detector on every 4th sampled frame.

    Returns:
        Logits (ceil(T / 4), K) of T sampled frames with a whole step behind them, and
        their own times in seconds: frames that lie so far apart are not stretched to
        the ends of the video.
    """
    slow = slow_timeline(timeline)
    count = -(-timeline.rows // RATIO)
    video = view.read(record.video_id, slow, count)
    with torch.inference_mode(), autocast(view.device, view.precision):
        logits = model(channels_last(video))  # (1, K, ceil(T / 4))
    return _rows(logits), slow.sample_times(count)


def predict_slowfast(
    view: View, model: SlowFast, record: VideoRecord, timeline: Timeline
) -> tuple[np.ndarray, np.ndarray]:
    """Run SlowFast_det on the sampled frames with a whole step behind them.

    Returns:
        Logits and times as `predict_slow`.
    """
    video = view.read(record.video_id, timeline, timeline.rows)
    with torch.inference_mode(), autocast(view.device, view.precision):
        logits = model(channels_last(video))  # (1, K, ceil(T / 4))
    return _rows(logits), slow_timeline(timeline).sample_times(logits.shape[2])


def slow_timeline(timeline: Timeline) -> Timeline:
    """The clock of the slow stream: every 4th sampled frame."""
    return Timeline(timeline.frames, timeline.duration_s, RATIO * timeline.stride)


def predict_coarse_fine(
    view: View,
    features: FeatureStore | None,
    compat: str,
    model: CoarseFine,
    record: VideoRecord,
    timeline: Timeline,
) -> tuple[np.ndarray, np.ndarray]:
    """Run a two-stream detector, as `predict_with_grid`, and leave out the grid."""
    return predict_with_grid(view, features, compat, model, record, timeline)[:2]


def predict_with_grid(
    view: View,
    features: FeatureStore | None,
    compat: str,
    model: CoarseFine,
    record: VideoRecord,
    timeline: Timeline,
) -> tuple[np.ndarray, np.ndarray, Sampling]:
    """Run a two-stream detector with all feature rows of the video.

    Reference: with the first rows only, as many as training sees, however long the
    video is.

    Args:
        view: how the detector sees the video.
        features: of its fine stream; None for a coarse stream without fusion.
        compat: see `coarse_fine_times`.
        model: the detector, in evaluation mode.
        record: the video.
        timeline: its clock.

    Returns:
        Logits (4 ceil(T / 4), K) and their times in seconds; the frames it chose.

    Raises:
        StageError: the video has another number of feature rows than sampled frames.
    """
    samples = taken = timeline.rows
    fine = None
    if features is not None:
        if compat == "reference":
            taken = min(samples, model.fine_frames)
        fine = _rows_of(features, record.video_id, samples, taken, view.device)
    video = view.read(record.video_id, timeline, samples)
    mask = torch.ones(1, taken, device=view.device)
    start = torch.zeros(1, device=view.device)
    found: dict[str, Tensor] = {}
    with torch.inference_mode(), autocast(view.device, view.precision):
        logits = model(channels_last(video), fine, mask, start, found)  # (1, K, 4 L)
    return _with_grid(logits, found, timeline, compat)


def predict_end_to_end(
    view: View,
    compat: str,
    model: EndToEnd,
    record: VideoRecord,
    timeline: Timeline,
) -> tuple[np.ndarray, np.ndarray]:
    """Run both streams, as `predict_both_with_grid`, and leave out the grid."""
    return predict_both_with_grid(view, compat, model, record, timeline)[:2]


def predict_both_with_grid(
    view: View,
    compat: str,
    model: EndToEnd,
    record: VideoRecord,
    timeline: Timeline,
) -> tuple[np.ndarray, np.ndarray, Sampling]:
    """Run the coarse stream on the whole video, the fine one on the middle of it.

    The fine stream sees as many frames as its weights over time are made for. They are
    some of the coarse stream's; the reference's lie up to half a stride beside.

    Returns:
        As `predict_with_grid`.
    """
    samples, width = timeline.rows, model.coarse.fine_frames
    video = channels_last(view.read(record.video_id, timeline, samples))
    first = central_window(samples, width)
    fine = channels_last(video[:, :, first : first + width])
    mask = torch.ones(1, fine.shape[2], device=view.device)
    start = torch.full((1,), -float(first), device=view.device)
    found: dict[str, Tensor] = {}
    with torch.inference_mode(), autocast(view.device, view.precision):
        logits = model(video, fine, mask, start, found)[0]  # (1, K, 4 L)
    return _with_grid(logits, found, timeline, compat)


def _with_grid(
    logits: Tensor, found: dict[str, Tensor], timeline: Timeline, compat: str
) -> tuple[np.ndarray, np.ndarray, Sampling]:
    """Logits (1, K, 4 L) with their times, and what Grid Pool left in `found`."""
    length_s = timeline.seconds_of_sample(timeline.rows - 1)
    grid = found["grid"][0].double() * length_s
    confidence = torch.sigmoid(found["confidence"][0].float() / TEMPERATURE)
    times = coarse_fine_times(timeline, logits.shape[2], compat)
    return (
        _rows(logits),
        times,
        Sampling(grid.cpu().numpy(), confidence.cpu().numpy()),
    )


def coarse_fine_times(timeline: Timeline, outputs: int, compat: str) -> np.ndarray:
    """Times (outputs,) of a two-stream detector's logits.

    Fixed: they span the clip, from its first sampled frame to its last. Reference: they
    are cells of equal length, read at their centres (index-based resize without aligned
    corners).
    """
    samples = timeline.rows
    if compat == "reference":
        cell = samples * timeline.stride / outputs
        return ((np.arange(outputs) + 0.5) * cell - 0.5) / timeline.fps
    last = max(samples - 1, 1)  # of a single sample, the rows lie in its step
    return np.linspace(0.0, timeline.seconds_of_sample(last), outputs)


def _rows_of(
    features: FeatureStore,
    video_id: str,
    samples: int,
    taken: int,
    device: torch.device,
) -> dict[str, Tensor]:
    """The first features (1, C, taken, 7, 7) of a video that must have `samples`."""
    rows = features.info(video_id).length
    if rows != samples:
        raise StageError(
            f"{video_id} has {rows} feature rows, its frames give {samples}; extract"
            " the features again"
        )
    fine = features.read(video_id, 0, taken, FEATURES)
    return {key: value[None].to(device).float() for key, value in fine.items()}


def _rows(logits: Tensor) -> np.ndarray:
    return logits[0].float().T.contiguous().cpu().numpy()
