"""The processes of a training job; the only file that reads torchrun's variables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn

from ssdet.stage import choose_device


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
        return nn.parallel.DistributedDataParallel(model, device_ids=devices)

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
    distributed.init_process_group(backend)
    try:
        yield World(rank, size, chosen)
    finally:
        distributed.destroy_process_group()
