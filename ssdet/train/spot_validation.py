"""Videos with labels for SPOT: as items of batches, and to validate on."""

from __future__ import annotations

import torch
from torch import nn

from ssdet.config import SpotNetwork
from ssdet.data.clips import Item, Shape, collate, to_device
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
    losses, overlaps, scores, shown = [], [], [], []
    classes, index = len(data.dataset.classes), data.dataset.class_index
    size_of_part = learner.cfg.batch_size
    for first in range(0, len(held), size_of_part):
        part = held[first : first + size_of_part]
        items = [
            labelled_item(data, size, part, n, Shape(1, 1, 1, 1), None)
            for n in range(len(part))
        ]
        batch = to_device(collate(items), world.device)
        out = learner.student(batch["features"])
        loss = supervised_loss(out, batch["classes"], batch["mask"], learner.losses)
        losses.append(loss.item() * len(part))
        overlaps.append(dice_score(out.mask, batch["mask"]).sum().item())
        chances = torch.softmax(out.logits.float(), 1)[:, :-1]  # (B, K, T)
        scores.append(chances.transpose(1, 2).flatten(0, 1).cpu())  # (B T, K)
        for number in part:
            blocks = data.videos.blocks(number, index, size.compat)
            shown.append(class_mask(blocks, classes, size.snippets)[:-1].T)  # (T, K)
    found = {
        "val_loss": sum(losses) / len(held),
        "val_dice": sum(overlaps) / len(held),
    }
    labels = torch.cat(shown).numpy()
    if labels.any():
        precision = average_precision(torch.cat(scores).numpy(), labels)
        found["val_map"] = mean_over_present(precision)
    return found
