"""What a temporal head's validation decides: the rate, and which epochs to keep.

Source: spec of the heads, sections 3 and 4.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ssdet.config import HeadConfig
from ssdet.train.head_steps import validate
from ssdet.train.head_videos import LabelledSteps
from ssdet.train.plateau import Plateau


class Chosen:
    """The weights of the epoch with the highest mAP, or the lowest loss."""

    def __init__(self, by: str) -> None:
        """Begin with none.

        Args:
            by: `map` or `loss`.
        """
        self.by = by
        self.score: float | None = None
        self.epoch = 0
        self.weights: dict[str, Tensor] = {}

    def offer(self, epoch: int, values: Mapping[str, float], model: nn.Module) -> None:
        """Keep the model's weights if they are the best so far."""
        if self.by not in values:
            return
        score = values[self.by] if self.by == "map" else -values[self.by]
        if self.score is None or score > self.score:
            self.score, self.epoch = score, epoch
            self.weights = copied(model)

    def state_dict(self) -> dict[str, Any]:
        """For the rolling state."""
        return {"score": self.score, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From the rolling state."""
        self.score, self.epoch = state["score"], state["epoch"]
        self.weights = state["weights"]


class Watch:
    """Validates after every epoch; all processes validate all videos.

    The test videos, if they are watched, choose nothing but the weights that are called
    best on them.
    """

    def __init__(
        self,
        cfg: HeadConfig,
        held: LabelledSteps,
        tested: LabelledSteps | None,
        device: torch.device,
    ) -> None:
        """Begin before the first epoch."""
        self.cfg, self.held, self.tested, self.device = cfg, held, tested, device
        self.epoch = 0
        training = cfg.training
        self.plateau = Plateau(
            training.learning_rate, training.drop_factor, training.patience
        )
        self.selected = Chosen(cfg.select_by)
        self.best_on_test = Chosen(cfg.select_by)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Measure an epoch.

        Returns:
            `val_loss` and `val_map`, `test_loss` and `test_map`, as far as there are
            videos, and actions in them.
        """
        self.epoch += 1
        values = validate(model, self.held, self.cfg, self.device)
        self.selected.offer(self.epoch, values, model)
        found = {f"val_{name}": value for name, value in values.items()}
        self.plateau.offer(found)
        if self.tested is not None:
            values = validate(model, self.tested, self.cfg, self.device)
            self.best_on_test.offer(self.epoch, values, model)
            found |= {f"test_{name}": value for name, value in values.items()}
        return found

    def epochs(self, last: dict[str, Tensor]) -> dict[str, Any]:
        """The kept epochs, by name: `epoch`, from 1, and `weights`.

        Args:
            last: the weights after the last one.
        """
        kept: dict[str, Any] = {"last": {"epoch": self.epoch, "weights": last}}
        for name in ("selected", "best_on_test"):
            chosen: Chosen = getattr(self, name)
            if chosen.score is not None:
                kept[name] = {"epoch": chosen.epoch, "weights": chosen.weights}
        return kept

    def state_dict(self) -> dict[str, Any]:
        """For the rolling state."""
        return {
            "epoch": self.epoch,
            "plateau": self.plateau.state_dict(),
            "selected": self.selected.state_dict(),
            "best_on_test": self.best_on_test.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From the rolling state."""
        self.epoch = state["epoch"]
        self.plateau.load_state_dict(state["plateau"])
        self.selected.load_state_dict(state["selected"])
        self.best_on_test.load_state_dict(state["best_on_test"])


def copied(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a model, on the CPU, as they are now."""
    state = model.state_dict()
    return {name: x.detach().cpu().clone() for name, x in state.items()}
