"""Training items, validation and prediction of the temporal heads.

Source: spec of the heads, sections 1 and 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ssdet.config import HeadConfig, MsTctConfig
from ssdet.data.clips import Item, Key, Shape
from ssdet.data.step_features import StepFeatures
from ssdet.metrics import average_precision, mean_over_present
from ssdet.models.ms_tct import MsTctOutput
from ssdet.randomness import uniform_int
from ssdet.train.head_losses import heat_map_loss, step_loss
from ssdet.train.head_videos import LabelledSteps


@dataclass(frozen=True)
class HeadClips:
    """Training items: whole videos, or windows of them."""

    videos: LabelledSteps
    window: int | None
    heat_map: bool

    def item(self, number: int, shape: Shape, source: torch.Generator) -> Item:
        """Draw the window of a video, if it is longer than one.

        Returns:
            features (D, T), labels (C, T), mask (T,), 1 on real steps, and heat_map
            (C, T) if asked for. A video shorter than the window is filled with zeros.
        """
        record = self.videos.records[number]
        features = self.videos.features
        steps = features.steps(record.video_id)
        start, stop = 0, steps
        if self.window is not None and steps > self.window:
            start = uniform_int(0, steps - self.window, source)
            stop = start + self.window
        item = {
            "features": features.read(record.video_id, start, stop),
            "labels": torch.from_numpy(self.videos.labels(record)[:, start:stop]),
            "mask": torch.ones(stop - start),
        }
        if self.heat_map:
            target = self.videos.heat_map(record)[:, start:stop]
            item["heat_map"] = torch.from_numpy(target)
        if self.window is None:
            return item
        return {name: fill(x, self.window) for name, x in item.items()}


def steps_of_batches(
    videos: LabelledSteps, window: int | None, batches: Iterable[Sequence[Key]]
) -> list[int]:
    """Real steps of whole batches, whose parts may lie in several processes."""
    lengths = [videos.features.steps(record.video_id) for record in videos.records]
    if window is not None:
        lengths = [min(length, window) for length in lengths]
    return [sum(lengths[video] for _, _, video, _ in batch) for batch in batches]


def head_loss(
    cfg: HeadConfig,
    batch_steps: Sequence[int],
    network: nn.Module,
    batch: Item,
    step: int,
    slots: tuple[int, int],
) -> Tensor:
    """Entropy of the steps, and of MS-TCT's heat map by its weight.

    The mean over the parts of a batch is what the whole batch would give at once, with
    `loss_steps` real: its sum over all of its real steps.

    Args:
        cfg: config section.
        batch_steps: real steps of every step's whole batch.
        network: the head.
        batch: the part of the batch.
        step: which step it is.
        slots: (first, every), the part's place in the batch.
    """
    found = network(batch["features"], batch["mask"])
    logits = found.logits if isinstance(found, MsTctOutput) else found
    loss = step_loss(
        logits,
        batch["labels"].float(),
        batch["mask"],
        cfg.loss_steps,
        batch_steps[step] / slots[1],
    )
    if isinstance(found, MsTctOutput) and isinstance(cfg.network, MsTctConfig):
        own = heat_map_loss(
            found.heat_map, batch["heat_map"], cfg.network.heat_map_pairing
        )
        loss = loss + cfg.network.heat_map_weight * own
    return loss


def predict_steps(
    model: nn.Module,
    features: StepFeatures,
    window: int | None,
    video_id: str,
    device: torch.device,
) -> Tensor:
    """Logits (C, F) of a whole video, float32; the model is in evaluation mode.

    With a window the video is seen in pieces of that length, side by side; the last
    ends with the video, and only gives what the one before it did not reach. A video
    shorter than the window is filled with zeros.
    """
    steps = features.steps(video_id)
    if window is None:
        return _run(model, features.read(video_id, 0, steps), None, device)
    logits = []
    done = 0
    for start in window_starts(steps, window):
        stop = min(start + window, steps)
        piece = _run(model, features.read(video_id, start, stop), window, device)
        logits.append(piece[:, done - start :])
        done = stop
    return torch.cat(logits, 1)


def window_starts(steps: int, window: int) -> list[int]:
    """First steps of windows that cover a video; the last is aligned to its end."""
    if steps <= window:
        return [0]
    starts = list(range(0, steps - window + 1, window))
    if starts[-1] + window < steps:
        starts.append(steps - window)
    return starts


def validate(
    model: nn.Module, videos: LabelledSteps, cfg: HeadConfig, device: torch.device
) -> dict[str, float]:
    """Loss and per-step mAP over whole videos, classes without positives left out.

    Returns:
        `loss`, summed over classes, for each step; `map` in 0..1, unless no step of the
        videos shows an action. Nothing without videos.
    """
    if not videos.records:
        return {}
    scores, labels, loss, steps = [], [], 0.0, 0
    for record in videos.records:
        logits = predict_steps(
            model, videos.features, cfg.window, record.video_id, device
        )
        own = videos.labels(record)
        real = torch.ones(1, logits.shape[1])
        entropy = step_loss(logits[None], torch.from_numpy(own)[None], real, "real")
        loss += entropy.item() * logits.shape[1]
        steps += logits.shape[1]
        scores.append(logits.T.double().numpy())
        labels.append(own.T)
    values = {"loss": loss / steps}
    shown = np.concatenate(labels)
    if shown.any():
        threads = torch.get_num_threads()
        ap = average_precision(np.concatenate(scores), shown, threads=threads)
        values["map"] = mean_over_present(ap)
    return values


def fill(x: Tensor, length: int) -> Tensor:
    """Zeros at the end of the last axis, up to a length."""
    return nn.functional.pad(x, (0, length - x.shape[-1]))


def _run(
    model: nn.Module, features: Tensor, window: int | None, device: torch.device
) -> Tensor:
    """Logits (C, F) of features (D, F), on the CPU; half precision would tie them."""
    steps = features.shape[1]
    mask = torch.ones(steps)
    if window is not None:
        features, mask = fill(features, window), fill(mask, window)
    with torch.inference_mode():
        found = model(features[None].to(device), mask[None].to(device))
    logits = found.logits if isinstance(found, MsTctOutput) else found
    return logits[0, :, :steps].float().cpu()
