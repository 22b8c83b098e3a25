"""Videos with labels for SPOT: as items of batches, and to validate on."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ssdet.config import SpotNetwork
from ssdet.data.clips import Item, Shape
from ssdet.data.snippet_targets import class_mask, targets_of
from ssdet.metrics import average_precision, mean_over_present
from ssdet.train.distributed import World
from ssdet.train.semi_supervised import supervised_loss
from ssdet.train.spot_data import SpotData
from ssdet.train.spot_learner import Learner
from ssdet.train.spot_losses import dice_score


def labelled_item(
    data: SpotData,
    size: SpotNetwork,
    numbers: list[int],
    number: int,
    shape: Shape,
    source: object,
) -> Item:
    """A video with its targets: features (inputs, T), classes (T,), mask (T, T)."""
    video = numbers[number]
    blocks = data.videos.blocks(video, data.dataset.class_index, size.compat)
    targets = targets_of(blocks, len(data.dataset.classes), size.snippets, size.compat)
    return {"features": data.videos.features[video], **targets._asdict()}


@torch.no_grad()
def validate(
    data: SpotData,
    size: SpotNetwork,
    held: list[int],
    world: World,
    learner: nn.Module,
) -> dict[str, float]:
    """The student on labelled videos set aside.

    Returns:
        `val_loss`, supervised; `val_dice` of the masks; `val_map` of the snippets'
        classes, if any has one; to the leader.
    """
    assert isinstance(learner, Learner)
    if not (world.leads and held):
        return {}
    every = range(len(held))
    items = [labelled_item(data, size, held, n, Shape(1, 1, 1, 1), None) for n in every]
    batch = {k: torch.stack([i[k] for i in items]).to(world.device) for k in items[0]}
    out = learner.student(batch["features"])
    loss = supervised_loss(out, batch["classes"], batch["mask"], learner.losses)
    found = {
        "val_loss": loss.item(),
        "val_dice": dice_score(out.mask, batch["mask"]).mean().item(),
    }
    classes = len(data.dataset.classes)
    shown = torch.cat(
        [
            class_mask(
                data.videos.blocks(n, data.dataset.class_index, size.compat),
                classes,
                size.snippets,
            )[:-1]
            for n in held
        ],
        dim=1,
    ).T.numpy()  # (N T, K)
    if shown.any():
        chances = torch.softmax(out.logits.float(), 1)[:, :-1]
        scores = chances.transpose(1, 2).flatten(0, 1).cpu().numpy()
        precision = average_precision(np.ascontiguousarray(scores), shown)
        found["val_map"] = mean_over_present(precision)
    return found
