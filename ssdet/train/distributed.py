"""The processes of a training job; the only file that reads torchrun's variables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed, nn

from ssdet.models.sub_batch_norm import aggregate_all, norms
from ssdet.stage import choose_device

PATIENCE = timedelta(hours=6)  # the others wait while the first process validates


@dataclass(frozen=True)
class World:
    """This process among the job's processes."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """Average gradients over the processes, if there are several."""
        if self.size == 1:
            return model
        devices = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(
            model,
            device_ids=devices,
            broadcast_buffers=False,  # each process keeps its own groups' statistics
        )

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; all must ask together."""
        if self.size == 1:
            return flag
        value = torch.tensor(float(flag), device=self.device)
        distributed.all_reduce(value, distributed.ReduceOp.MAX)
        return bool(value.item())

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            distributed.barrier()

    def gather_statistics(self, model: nn.Module) -> None:
        """Give batch normalisation the statistics of all processes' groups.

        The mean is the mean of the processes' means, the variance the mean of their
        variances plus the spread of their means, as for the groups of one process.
        """
        aggregate_all(model)
        if self.size == 1:
            return
        for norm in norms(model):
            own = norm.running_mean.clone()
            self._average(norm.running_mean)
            norm.running_var += (own - norm.running_mean).square()
            self._average(norm.running_var)

    @contextmanager
    def evaluating(self, model: nn.Module) -> Iterator[None]:
        """Evaluation mode with the statistics of all; training goes on with its own."""
        model.eval()
        own = [(n.running_mean.clone(), n.running_var.clone()) for n in norms(model)]
        self.gather_statistics(model)
        yield
        if self.size > 1:
            for norm, (mean, variance) in zip(norms(model), own, strict=True):
                norm.running_mean.copy_(mean)
                norm.running_var.copy_(variance)
        model.train()

    def _average(self, tensor: torch.Tensor) -> None:
        distributed.all_reduce(tensor)
        tensor /= self.size


@contextmanager
def session(device: str) -> Iterator[World]:
    """Join the other processes of the job; a world of one without torchrun.

    Args:
        device: `auto`, `cpu` or `cuda`.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    chosen = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if size == 1:
        yield World(0, 1, chosen)
        return
    backend = "nccl" if chosen.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield World(rank, size, chosen)
    finally:
        distributed.destroy_process_group()
