"""The optimiser of a training stage."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ssdet.config import OptimizerConfig


def build_optimizer(
    model: nn.Module,
    config: OptimizerConfig,
    factor: Callable[[str], float] = lambda name: 1.0,
) -> torch.optim.Optimizer:
    """Build SGD, Adam or AdamW over all parameters.

    Args:
        model: its trainable parameters are grouped by their rate.
        config: optimizer, momentum, weight decay (on everything, spec quirk 26).
        factor: parameter name -> multiple of the learning rate.

    Returns:
        An optimiser whose groups carry `factor`, read by `set_rate`.
    """
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(factor(name), []).append(parameter)
    listed = [{"params": p, "factor": f} for f, p in sorted(groups.items())]
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            listed,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
    # Adam takes weight decay as a part of the gradient, AdamW beside it
    adam = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return adam(
        listed,
        lr=config.learning_rate,
        betas=(config.momentum, 0.999),
        weight_decay=config.weight_decay,
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group, times the group's factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def clip_gradients(model: nn.Module, norm: float | None) -> dict[str, Tensor]:
    """Scale all gradients so that their common norm is at most `norm`.

    Returns:
        `gradient_norm`, before, on the device; nothing if there is no limit.
    """
    if norm is None:
        return {}
    return {"gradient_norm": nn.utils.clip_grad_norm_(model.parameters(), norm)}
