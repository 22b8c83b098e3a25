"""The processes of a training job; the only file that reads torchrun's variables."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from ssdet.files import only_one
from ssdet.models.sub_batch_norm import aggregate_all, norms, set_splits
from ssdet.stage import choose_device
from ssdet.train.checkpoint import resume_folder

PATIENCE = timedelta(hours=6)  # the others wait while one process does more than they
Thing = TypeVar("Thing")


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
        with warnings.catch_warnings():
            # what is to replace broadcast_buffers copies the buffers once all the same
            warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)
            return nn.parallel.DistributedDataParallel(
                model,
                device_ids=devices,
                broadcast_buffers=False,  # each process has its own groups' statistics
            )

    def share(self, things: Sequence[Thing]) -> Sequence[Thing]:
        """This process's part of a list: every `size`-th, from its rank on."""
        return things[self.rank :: self.size]

    def sum(self, *values: float) -> list[float]:
        """Sums over the processes; all must ask together."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        return list(self.add_up(sums).tolist())

    def add_up(self, sums: Tensor) -> Tensor:
        """As `sum`, in place and on the device, which makes nobody wait for it."""
        if self.size > 1:
            distributed.all_reduce(sums)
        return sums

    def gather(self, things: list[Thing]) -> list[Thing]:
        """The leader gets the lists of all processes, one after the other.

        The others get nothing.
        """
        if self.size == 1:
            return things
        lists: list[Any] | None = [None] * self.size if self.leads else None
        distributed.gather_object(things, lists)
        return [thing for found in lists or () for thing in found]

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

    def deal_groups(self, model: nn.Module, groups: int) -> None:
        """Give this process its groups of batch normalisation, of `groups` in all.

        Where their number changes, each starts from the statistics of all before.
        """
        own = groups // self.size
        if any(norm.splits != own for norm in norms(model)):
            self.gather_statistics(model)
            set_splits(model, own)

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

    def collect(self, own: Tensor) -> Tensor:
        """Rows (N, ...) of all processes, dealt in turn: (N * size, ...)."""
        rows = [torch.empty_like(own) for _ in range(self.size)]
        distributed.all_gather(rows, own.contiguous())
        return torch.stack(rows, 1).flatten(0, 1)

    def _average(self, tensor: Tensor) -> None:
        distributed.all_reduce(tensor)
        tensor /= self.size


class Whole:
    """A model whose state is that of a single process with the whole batch.

    Only the groups' statistics of batch normalisation differ between processes. Any
    number of processes can go on from such a state.
    """

    def __init__(self, model: nn.Module, world: World) -> None:
        """Wrap the model of this process."""
        self.model, self.world = model, world

    def state_dict(self) -> dict[str, Any]:
        """The state; all processes must ask together."""
        state = self.model.state_dict()
        if self.world.size == 1:
            return state
        for name, norm in _named_norms(self.model):
            for what in ("mean", "var"):
                own = state.get(f"{name}split_{what}", state[f"{name}running_{what}"])
                rows = self.world.collect(own.view(-1, norm.channels))
                state[f"{name}split_{what}"] = rows.flatten()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take this process's part of a state."""
        state = dict(state)
        for name, norm in _named_norms(self.model):
            for what in ("mean", "var"):
                if (everyone := state.pop(f"{name}split_{what}", None)) is None:
                    norm.set_splits(1)
                    continue
                rows = everyone.view(-1, norm.channels)
                own = rows[self.world.rank :: self.world.size]
                norm.set_splits(len(own))
                kept = "running" if len(own) == 1 else "split"
                state[f"{name}{kept}_{what}"] = own.flatten()
        self.model.load_state_dict(state)


def _named_norms(model: nn.Module) -> list[tuple[str, Any]]:
    """Every normalisation, with what its entries in the state begin with."""
    chosen = set(norms(model))
    return [
        (f"{name}." if name else "", module)
        for name, module in model.named_modules()
        if module in chosen
    ]


@contextmanager
def session(device: str, out: Path) -> Iterator[World]:
    """Join the other processes of the job; a world of one without torchrun.

    Args:
        device: `auto`, `cpu` or `cuda`.
        out: the checkpoint that the job will end with; it has one job at a time.

    Raises:
        OSError: another job is training it.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    chosen = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    alone = (
        only_one(resume_folder(out), f"trains {out}") if rank == 0 else nullcontext()
    )
    if size == 1:
        with alone:
            yield World(0, 1, chosen)
        return
    backend = "nccl" if chosen.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        with alone:
            yield World(rank, size, chosen)
    finally:
        distributed.destroy_process_group()
