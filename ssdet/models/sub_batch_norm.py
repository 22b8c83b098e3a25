"""Batch normalisation over groups of clips, however many clips a GPU holds.

Source: Kahatapitiya et al., AAAI 2023 (arXiv:2111.13675), released code ("sub-BN").
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssdet.kernels.choice import kernels_for
from ssdet.kernels.compiled_norm import EPS
from ssdet.kernels.norm import (
    Moments,
    Statistics,
    apply,
    batch_statistics,
    fixed_statistics,
    folded,
    moments,
    norm_act,
)

MOMENTUM = 0.1  # weight of the newest batch in the running statistics
_recomputing = ContextVar("recomputing", default=False)


class SubBatchNorm3d(nn.Module):
    """Batch normalisation whose training batch is dealt into `splits` groups.

    Clip i belongs to group i mod `splits`; every group is normalised by its own
    statistics. Weight and bias are shared. In evaluation the running statistics of all
    groups together are used: `eval()` gathers them, so they are never stale there. With
    one split this is `nn.BatchNorm3d` (without its batch counter).

    A step that takes its batch in several parts normalises each part by its own groups
    (`set_part`). Frozen (`freeze_norms`), it normalises by the running statistics in
    training too.

    State: weight, bias, running_mean, running_var (C,); with several splits also
    split_mean and split_var (splits * C, split-major). A state without the latter
    loads into any number of splits: each gets a copy of the running statistics.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    split_mean: Tensor | None
    split_var: Tensor | None

    def __init__(self, channels: int, splits: int = 1) -> None:
        """Build with weight 1, bias 0, mean 0, variance 1.

        Args:
            channels: C.
            splits: groups of the training batch, at least 1.
        """
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("split_mean", None)
        self.register_buffer("split_var", None)
        self.splits = 1
        self.part, self.parts = 0, 1
        self.frozen = False
        self.set_splits(splits)

    def set_splits(self, splits: int) -> None:
        """Change the number of groups; each starts from the gathered statistics.

        Raises:
            ValueError: `splits` is below 1.
        """
        if splits < 1:
            raise ValueError(f"splits must be at least 1, got {splits}")
        self.aggregate()
        self.splits = splits
        several = splits > 1
        self.split_mean = self.running_mean.repeat(splits) if several else None
        self.split_var = self.running_var.repeat(splits) if several else None

    @torch.no_grad()
    def aggregate(self) -> None:
        """Gather the groups' running statistics into the ones of evaluation."""
        if self.split_mean is None or self.split_var is None:
            return
        means = self.split_mean.view(self.splits, self.channels)
        variances = self.split_var.view(self.splits, self.channels)
        mean = means.mean(0)
        self.running_mean.copy_(mean)
        self.running_var.copy_(variances.mean(0) + (means - mean).square().mean(0))

    def train(self, mode: bool = True) -> SubBatchNorm3d:
        """Switch modes; leaving training gathers the statistics."""
        if self.training and not mode:
            self.aggregate()
        super().train(mode)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, T, H, W).

        Raises:
            ValueError: training, and B is not a multiple of `splits`.
        """
        if _fused(x):
            return norm_act(x, self.weight, self.bias, self.statistics(x), "none")
        training = self.of_batch
        if self.split_mean is None or self.split_var is None or not training:
            return F.batch_norm(
                x,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                training,
                _momentum(),
                EPS,
            )
        splits = self.splits // self.parts
        self._require_groups(x.shape[0], splits)
        means = self.split_mean.view(self.splits, -1)[self.part :: self.parts]
        variances = self.split_var.view(self.splits, -1)[self.part :: self.parts]
        normalise = _as_channels if x.is_contiguous() else _one_by_one
        return normalise(x, means, variances, self.weight, self.bias)

    @property
    def of_batch(self) -> bool:
        """Whether it normalises by statistics of the batch."""
        return self.training and not self.frozen

    def relu(
        self, x: Tensor, other: Tensor | None = None, found: Moments | None = None
    ) -> Tensor:
        """Normalise (B, C, T, H, W), add `other`, rectify; with our kernels at once.

        Where nothing is learned the result may take the place of `x`. `found` are its
        moments, if they are known.

        Raises:
            ValueError: training, and B is not a multiple of `splits`.
        """
        if _fused(x) and (other is None or kernels_for(x, other)):
            if not self.training and not torch.is_grad_enabled() and other is None:
                rows = (each.expand(len(x), -1) for each in self.scale_and_shift())
                scale, shift = rows
                return apply(x, scale, shift, "relu", out=x)
            statistics = self.statistics(x, found)
            return norm_act(x, self.weight, self.bias, statistics, "relu", other)
        out = self(x)
        return F.relu(out if other is None else other + out, inplace=True)

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """What evaluation multiplies each channel by (C,), and what it adds (C,)."""
        return folded(self.weight, self.bias, (self.running_mean, self.running_var))

    @torch.no_grad()
    def statistics(
        self, x: Tensor, found: Moments | None = None, of_clips: bool = False
    ) -> Statistics:
        """What a batch is normalised by; in training, the running ones learn of it.

        Args:
            x: (B, C, T, H, W), in channels_last_3d, one that kernels of ours take.
            found: its moments, if they are known.
            of_clips: whether the means of the clips are wanted too.

        Raises:
            ValueError: training, and B is not a multiple of `splits`.
        """
        if not self.of_batch:
            running = (self.running_mean, self.running_var)
            clip_mean = (found or moments(x))[0] if of_clips else None
            return fixed_statistics(x, self.weight, self.bias, running, clip_mean)
        groups = self.splits // self.parts
        self._require_groups(len(x), groups)
        if self.split_mean is None or self.split_var is None:
            running = (self.running_mean[None], self.running_var[None])
        else:
            running = (
                self.split_mean.view(self.splits, -1)[self.part :: self.parts],
                self.split_var.view(self.splits, -1)[self.part :: self.parts],
            )
        return batch_statistics(x, found, self.weight, self.bias, running, _momentum())

    def _require_groups(self, clips: int, groups: int) -> None:
        if clips % groups:
            raise ValueError(
                f"a batch of {clips} clips cannot be dealt into {groups}"
                " groups for batch normalisation; make the batch on each GPU a"
                " multiple of bn_group"
            )

    def extra_repr(self) -> str:
        """What printing the module shows."""
        return f"{self.channels}, splits={self.splits}"

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any
    ) -> None:
        if self.splits > 1:
            for name in ("mean", "var"):
                running, split = f"{prefix}running_{name}", f"{prefix}split_{name}"
                if split not in state_dict and running in state_dict:
                    state_dict[split] = state_dict[running].repeat(self.splits)
        super()._load_from_state_dict(state_dict, prefix, *args)


def set_splits(model: nn.Module, splits: int) -> None:
    """Set the number of groups of every normalisation in `model`."""
    for module in norms(model):
        module.set_splits(splits)


def set_part(model: nn.Module, part: int, parts: int) -> None:
    """Say that the next batches hold the clips i with i mod `parts` = `part` only.

    Args:
        model: with a multiple of `parts` splits.
        part: from 0.
        parts: of the whole batch.
    """
    for module in norms(model):
        module.part, module.parts = part, parts


def freeze_norms(model: nn.Module) -> None:
    """Keep statistics, weights and biases of every normalisation as they are."""
    for module in norms(model):
        module.frozen = True
        module.weight.requires_grad_(False)
        module.bias.requires_grad_(False)


@contextmanager
def recomputing() -> Iterator[None]:
    """A block that repeats a forward pass: running statistics stay as they are."""
    token = _recomputing.set(True)
    try:
        yield
    finally:
        _recomputing.reset(token)


def aggregate_all(model: nn.Module) -> None:
    """Gather the statistics of every normalisation in `model`."""
    for module in norms(model):
        module.aggregate()


def split_free_state(model: nn.Module) -> dict[str, Tensor]:
    """The state of `model` as if it had one split; what checkpoints hold.

    Returns:
        Names and tensors, with gathered running statistics and without those of the
        groups. It loads (strictly) into a model with any number of splits.
    """
    aggregate_all(model)
    return evaluation_state(model)


def evaluation_state(model: nn.Module) -> dict[str, Tensor]:
    """As `split_free_state`, of a model whose statistics are gathered already."""
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name.rpartition(".")[2] not in ("split_mean", "split_var")
    }


def norms(model: nn.Module) -> list[SubBatchNorm3d]:
    """Every normalisation in `model`, in a fixed order."""
    return [m for m in model.modules() if isinstance(m, SubBatchNorm3d)]


def _fused(x: Tensor) -> bool:
    """Whether kernels of ours take `x` as it lies in memory."""
    last = x.is_contiguous(memory_format=torch.channels_last_3d)
    return last and kernels_for(x) is not None


def _momentum() -> float:
    return 0.0 if _recomputing.get() else MOMENTUM


def _as_channels(
    x: Tensor, means: Tensor, variances: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """Groups as further channels: in this memory layout nothing is copied."""
    splits, channels = means.shape
    grouped = x.view(-1, splits * channels, *x.shape[2:])
    mean, variance = means.reshape(-1), variances.reshape(-1)
    out = F.batch_norm(
        grouped,
        mean,
        variance,
        weight.repeat(splits),
        bias.repeat(splits),
        True,
        _momentum(),
        EPS,
    )
    if not means.is_contiguous():  # then the statistics above are copies
        means.copy_(mean.view_as(means))
        variances.copy_(variance.view_as(variances))
    return out.view_as(x)


def _one_by_one(
    x: Tensor, means: Tensor, variances: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """Each group on its own, then dealt back in channels_last_3d order."""
    splits = len(means)
    rows = [
        F.batch_norm(
            x[split::splits],
            means[split],
            variances[split],
            weight,
            bias,
            True,
            _momentum(),
            EPS,
        ).permute(0, 2, 3, 4, 1)
        for split in range(splits)
    ]
    together = torch.stack(rows, 1).flatten(0, 1)  # (B, T, H, W, C)
    return together.permute(0, 4, 1, 2, 3)
