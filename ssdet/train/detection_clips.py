"""Training clips of a detection set: frames, labels of every source frame, masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ssdet.augment.cropped_frames import read_crop
from ssdet.augment.spatial import draw_crop, normalise
from ssdet.config import DatasetRecipe, SpatialConfig
from ssdet.data.annotations import VideoRecord
from ssdet.data.clips import Item, Shape
from ssdet.data.frame_labels import frame_labels
from ssdet.data.sampling import Timeline, draw_start, window_samples
from ssdet.train.setup import Videos


@dataclass(frozen=True)
class DetectionClips:
    """How a training clip is cut from a video of a detection set."""

    videos: Videos
    records: Sequence[VideoRecord]
    stride: int
    spatial: SpatialConfig

    def timeline(self, number: int) -> Timeline:
        """The clock of a video."""
        return self.videos.timeline(self.records[number], self.stride)

    def item(self, number: int, shape: Shape, source: torch.Generator) -> Item:
        """Draw a clip, as `clip`, without its start."""
        return self.clip(number, shape, source)[0]

    def clip(
        self, number: int, shape: Shape, source: torch.Generator
    ) -> tuple[Item, int]:
        """Draw a clip.

        Returns:
            video (3, T, crop, crop) uint8; valid (T,), ones; labels (K, R) uint8 and
            mask (R,), ones, of the R source frames it spans. And its first frame.
        """
        record, timeline = self.records[number], self.timeline(number)
        window = shape.frames * self.stride
        start = draw_start(timeline.frames, window, source)
        frames = window_samples(timeline.frames, start, shape.frames, self.stride)
        labels = self.labels(number, start, window)
        return {
            "video": crop_clip(
                self.videos, record.video_id, frames, self.spatial, shape.crop, source
            ),
            "valid": torch.ones(len(frames)),
            "labels": labels,
            "mask": torch.ones(labels.shape[1]),
        }, start

    def labels(self, number: int, start: int, window: int) -> Tensor:
        """Labels (K, R) uint8 of up to `window` source frames, from `start` on."""
        timeline = self.timeline(number)
        labels = frame_labels(
            self.records[number].segments,
            self.videos.dataset.class_index,
            timeline.frames,
            timeline.fps,
        )
        return torch.from_numpy(labels[:, start : start + window].copy())


def crop_clip(
    videos: Videos,
    video_id: str,
    frames: Sequence[int],
    spatial: SpatialConfig,
    size: int,
    source: torch.Generator,
) -> Tensor:
    """Read frames and cut a random crop, the same for all: (3, T, size, size) uint8.

    The crop is the one of `spatial`, also where `size` is smaller: the same part of
    the frame, with less detail.
    """
    info = videos.store.info(video_id)
    crop = draw_crop(
        info.height,
        info.width,
        spatial.crop,
        spatial.train_short_sides,
        spatial.flip,
        source,
    )
    return read_crop(videos.store, video_id, frames, crop, size)


def network_input(batch: Item, dataset: DatasetRecipe) -> Tensor:
    """Normalised video (B, 3, T, H, W); frames past a clip's end are zero."""
    video = normalise(batch["video"], dataset.mean, dataset.std)
    return video * batch["valid"][:, None, :, None, None]
