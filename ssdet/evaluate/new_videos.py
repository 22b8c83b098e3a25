"""Runs a trained detector over video files that belong to no data set.

Each video is decoded, scaled and coded as the frames were that the detector was trained
on, in a folder that is removed afterwards: the detector sees what the workflow would
show it, and says the same.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssdet.config import DatasetRecipe, SamplingConfig, SpatialConfig, StoredFrames
from ssdet.data.annotations import VideoRecord
from ssdet.data.feature_store import FeatureStore, write_features
from ssdet.data.frame_shard import write_frames
from ssdet.data.frame_store import FrameStore
from ssdet.data.frames import coding
from ssdet.data.grids import Sampling
from ssdet.data.pack import Failed, PackJob, pack_video
from ssdet.data.probed import probe_file
from ssdet.data.sampling import Timeline
from ssdet.data.shards import shard_name
from ssdet.evaluate.predict import predictor
from ssdet.features.extract import features_of
from ssdet.files import sha256
from ssdet.models import X3DDetector
from ssdet.stage import StageError
from ssdet.train.checkpoint import load_checkpoint, rebuilding
from ssdet.train.detectors import Detector, load_detector
from ssdet.train.whole_video import View


@dataclass(frozen=True)
class Trained:
    """A detector and how it was trained to see videos.

    Attributes:
        model: in evaluation mode.
        checkpoint: what its file holds.
        fine: of a two-stream detector on stored features, the network that makes them.
        stored: how frames are scaled and coded.
        recipe: their rate, mean and deviation.
        spatial: config section.
        stride: frames from one sampled frame to the next.
        device: where it runs.
    """

    model: Detector
    checkpoint: dict[str, Any]
    fine: X3DDetector | None
    stored: StoredFrames
    recipe: DatasetRecipe
    spatial: SpatialConfig
    stride: int
    device: torch.device

    @property
    def classes(self) -> list[str]:
        """Names of its outputs."""
        return list(self.checkpoint["classes"])


@dataclass(frozen=True)
class Unreadable:
    """A file of which there are no logits, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Prediction:
    """What a detector says of a video.

    Attributes:
        duration_s: of the video.
        logits: (T, K).
        times_s: (T,).
        grid: which frames it chose, if it chooses.
    """

    duration_s: float
    logits: np.ndarray
    times_s: np.ndarray
    grid: tuple[Sampling, ...]


def load_trained(path: Path, fine: Path | None, device: torch.device) -> Trained:
    """Rebuild a detector.

    Args:
        path: its checkpoint.
        fine: checkpoint of its fine stream, for the stage coarse_fine; None: where the
            workflow keeps it.
        device: where to put it.

    Raises:
        StageError: there is none, it is of no detector, or `fine` is another one.
    """
    classes = load_checkpoint(path, "CHECKPOINT")["classes"]
    model, checkpoint = load_detector(path, classes, {}, device)
    config, stream = checkpoint["config"], None
    with rebuilding(path):
        if checkpoint["stage"] == "coarse_fine":
            if fine is None:
                home = path.absolute().parent.parent.parent
                fine = home / "fine" / config["fine"] / "checkpoint.pt"
            stream = _fine_stream(path, fine, config["fine_sha256"], classes, device)
        elif fine is not None:
            raise StageError(
                f"{path} is a checkpoint of {checkpoint['stage']}, which reads no"
                " features: leave out --fine"
            )
        return Trained(
            model,
            checkpoint,
            stream,
            StoredFrames.model_validate(config["frames"]),
            DatasetRecipe.model_validate(config["dataset"]),
            SpatialConfig.model_validate(config["spatial"]),
            SamplingConfig.model_validate(config["sampling"]).stride,
            device,
        )


def _fine_stream(
    path: Path, fine: Path, expected: str, classes: list[str], device: torch.device
) -> X3DDetector:
    if not fine.is_file():
        raise StageError(
            f"{path} reads the features of another detector, which is not at {fine}:"
            " name its checkpoint with --fine"
        )
    if sha256(fine) != expected:
        raise StageError(
            f"{fine} is not the detector whose features {path} was trained on: name"
            f" that one with --fine (its sha256 begins with {expected[:12]})"
        )
    model, _ = load_detector(fine, classes, {}, device)
    assert isinstance(model, X3DDetector)  # features come from nothing else
    return model


def predict_file(
    trained: Trained, path: Path, alignment: str, beside: Path
) -> Prediction | Unreadable:
    """Run a detector over one video file.

    Args:
        trained: the detector.
        path: the file.
        alignment: see `whole_video.predict_fine`.
        beside: where there is room for the frames meanwhile.
    """
    probed = probe_file(path)
    if probed.status != "ok":
        return Unreadable(path, probed.reason)
    with tempfile.TemporaryDirectory(prefix=".ssdet-", dir=beside) as temporary:
        folder = Path(temporary)
        packed = pack_video(
            PackJob(
                path.stem,
                str(path),
                probed.sha256,
                probed.frames,
                trained.recipe.fps or probed.fps,
                trained.stored,
                folder / "coded",
            )
        )
        if isinstance(packed, Failed):
            return Unreadable(path, packed.reason)
        frames = folder / "frames"
        facts = coding(trained.stored)
        write_frames(frames / shard_name(0), [packed], facts, dict)
        return _predict(trained, FrameStore(frames), path.stem, alignment, folder)


def _predict(
    trained: Trained, store: FrameStore, video_id: str, alignment: str, folder: Path
) -> Prediction:
    recipe, info = trained.recipe, store.info(video_id)
    view = View(store, trained.spatial, recipe.mean, recipe.std, trained.device)
    timeline = Timeline(info.frames, info.duration_s, trained.stride)
    features = None
    if trained.fine is not None:
        config = trained.checkpoint["config"]
        made = features_of(trained.fine, view, video_id, timeline, config["pool"])
        path = folder / "features" / shard_name(0)
        kind = config["features_dtype"]
        write_features(path, [made], timeline.rows, {}, kind, None, dict)
        features = FeatureStore(path.parent)
    predict = predictor(trained.model, trained.checkpoint, view, features, alignment)
    record = VideoRecord(video_id, info.duration_s, (), "testing")
    logits, times_s, *grid = predict(record, timeline)
    return Prediction(info.duration_s, logits, times_s, tuple(grid))
