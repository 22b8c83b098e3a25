"""Weights other than the last ones: a running average, and the best so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ssdet.models.sub_batch_norm import norms, set_splits


class RunningAverage:
    """An exponential moving average of a network's weights.

    Attributes:
        network: has the average, once `update` was called, and the statistics of batch
            normalisation that `copy_statistics` gave it.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Copy the model.

        Args:
            model: whose weights are averaged.
            decay: share of the old average that stays at each update.
        """
        self.network = deepcopy(model).eval()
        set_splits(self.network, 1)
        self.updates = 0
        self._average = get_ema_multi_avg_fn(decay)

    def update(self, model: nn.Module) -> None:
        """Take in the weights of now; the first ones as they are."""
        pairs = zip(self.network.parameters(), model.parameters(), strict=True)
        own, new = (list(tensors) for tensors in zip(*pairs, strict=True))
        if self.updates:
            self._average(own, new, self.updates)
        else:
            for average, tensor in zip(own, new, strict=True):
                average.data.copy_(tensor.data)
        self.updates += 1

    def copy_statistics(self, model: nn.Module) -> None:
        """Take the statistics of evaluation of `model`, which are averages already."""
        for own, theirs in zip(norms(self.network), norms(model), strict=True):
            own.running_mean.copy_(theirs.running_mean)
            own.running_var.copy_(theirs.running_var)

    def state_dict(self) -> dict[str, Any]:
        """For the rolling state."""
        return {"updates": self.updates, "network": self.network.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From the rolling state."""
        self.updates = state["updates"]
        self.network.load_state_dict(state["network"])


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
