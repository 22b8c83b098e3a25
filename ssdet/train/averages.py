"""Weights other than the last ones: a running average, and the best so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ssdet.models.sub_batch_norm import norms, set_splits


def running_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of the weights; `.module` is the network.

    Args:
        model: to copy.
        decay: share of the old average that stays at each update.
    """
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    set_splits(average.module, 1)
    return average


def copy_statistics(source: nn.Module, target: nn.Module) -> None:
    """Give batch normalisation in `target` the statistics of evaluation of `source`."""
    for theirs, own in zip(norms(source), norms(target), strict=True):
        own.running_mean.copy_(theirs.running_mean)
        own.running_var.copy_(theirs.running_var)


class Best:
    """The weights with the best validation so far: highest mAP, else lowest loss."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with some weights, below every score."""
        self.score = -math.inf
        self.step = 0
        self.weights = _copy(weights)

    def offer(
        self, step: int, values: Mapping[str, float], weights: Mapping[str, Tensor]
    ) -> None:
        """Keep weights if their `val_map` is the highest, or `val_loss` the lowest."""
        score = values.get("val_map", -values.get("val_loss", math.inf))
        if score > self.score:
            self.score, self.step = score, step
            self.weights = _copy(weights)

    def state_dict(self) -> dict[str, Any]:
        """For the rolling state."""
        return {"score": self.score, "step": self.step, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From the rolling state."""
        self.score, self.step = state["score"], state["step"]
        self.weights = state["weights"]


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
