"""A learning rate that falls when the validation loss stands still.

Source: the heads' released programs (PyTorch's ReduceLROnPlateau); spec of the heads,
section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

THRESHOLD = 1e-4  # share by which a loss must be lower to count as lower


class Plateau:
    """Multiplies the rate by a factor after too many validations without progress."""

    def __init__(self, base: float, factor: float, patience: int) -> None:
        """Begin at the rate `base`.

        Args:
            base: first learning rate.
            factor: in (0, 1).
            patience: validations in a row without a lower loss that are borne.
        """
        self.base, self.factor, self.patience = base, factor, patience
        self.lowest: float | None = None
        self.waited = 0
        self.drops = 0

    def rate(self, step: int) -> float:
        """The rate now, at whatever step."""
        return self.base * self.factor**self.drops

    def offer(self, values: Mapping[str, float]) -> None:
        """Hear of a validation; one without `val_loss` changes nothing."""
        if "val_loss" not in values:
            return
        loss = values["val_loss"]
        if self.lowest is None or loss < self.lowest * (1 - THRESHOLD):
            self.lowest, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.drops += 1
            self.waited = 0

    def state_dict(self) -> dict[str, Any]:
        """For the rolling state."""
        return {"lowest": self.lowest, "waited": self.waited, "drops": self.drops}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From the rolling state."""
        self.lowest, self.waited = state["lowest"], state["waited"]
        self.drops = state["drops"]
