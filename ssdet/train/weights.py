"""Weights a training run starts from."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ssdet.models.sub_batch_norm import split_free_state
from ssdet.stage import StageError

log = logging.getLogger(__name__)


def start_from(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    fresh: tuple[str, ...],
    origin: str,
) -> None:
    """Load `weights` into `model`, all but the layers that begin afresh.

    Args:
        model: changed in place; what is left as it was is logged.
        weights: name -> tensor; a linear layer may miss the trailing axes of size 1
            that the same layer has as a convolution.
        fresh: beginnings of names that keep their initial values.
        origin: where the weights come from, for messages.

    Raises:
        StageError: a tensor is missing, unknown or of another shape; all are listed.

    Source: spec of SSDet, section 1.8.
    """
    own = split_free_state(model)
    kept = {name for name in own if name.startswith(fresh)}
    offered = {n: t for n, t in weights.items() if not n.startswith(fresh)}
    problems = [f"{name} is missing" for name in sorted(set(own) - kept - set(offered))]
    problems += [f"{name} is unknown" for name in sorted(set(offered) - set(own))]
    for name in sorted(set(own) & set(offered)):
        if _without_ones(offered[name]) == _without_ones(own[name]):
            offered[name] = offered[name].reshape(own[name].shape)
        if offered[name].shape != own[name].shape:
            problems.append(
                f"{name} is {tuple(offered[name].shape)}, not {tuple(own[name].shape)}"
            )
    if problems:
        shown = "; ".join(problems[:20])
        raise StageError(
            f"the weights of {origin} do not fit this network ({len(problems)}"
            f" differences): {shown}. The config section model must be that of the"
            " weights"
        )
    model.load_state_dict({**own, **offered})
    log.info("loaded %d tensors of %s", len(offered), origin)
    if kept:
        log.info("fresh: %s", ", ".join(sorted(kept)))


def with_new_first_row(
    weights: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    layer: str,
    outputs: int,
) -> dict[str, Tensor]:
    """Put the fresh first row of a layer before given rows that lack just that one.

    Args:
        weights: name -> tensor; rows of `layer` are those of the actions.
        own: of the model, whose first row is the background.
        layer: beginning of the names of its weight and bias.
        outputs: rows of the model's layer.

    Source: spec of SSDet, section 1.8 (`copy_rows`).
    """
    return {
        name: torch.cat([own[name][:1].reshape(1, *tensor.shape[1:]), tensor])
        if name.startswith(layer) and len(tensor) == outputs - 1
        else tensor
        for name, tensor in weights.items()
    }


def _without_ones(tensor: Tensor) -> tuple[int, ...]:
    """The shape without its trailing axes of size 1."""
    shape = list(tensor.shape)
    while shape and shape[-1] == 1:
        shape.pop()
    return tuple(shape)
