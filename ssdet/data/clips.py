"""Training clips from the frame store, and the order in which they come.

A clip's draws (which frames, which crop) come from a generator named by (seed, stage,
step, slot), so a batch is the same whoever loads it and whenever.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ssdet.randomness import generator, seed_of

Item = dict[str, Tensor]
Key = tuple[int, int, int]  # step, slot in the batch, number of the video


class StepSampler(Sampler[list[Key]]):
    """The videos of every step from `first` to `last`, for this process.

    Each epoch is a new shuffle. A process of rank r takes slots r, r + world, ...: with
    batch normalisation over strided groups, groups then stay the same for any number of
    processes.
    """

    def __init__(
        self,
        videos: int,
        batch: int,
        first: int,
        last: int,
        keys: tuple[int | str, ...],
        per_epoch: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """Plan the steps.

        Args:
            videos: how many there are, at least 1.
            batch: clips of one step, over all processes; a multiple of `world`.
            first: step to begin with.
            last: step before which to end.
            keys: name of the order, such as (seed, stage).
            per_epoch: clips drawn of each video in an epoch.
            rank: of this process.
            world: number of processes.

        Raises:
            ValueError: there is no video, or `batch` does not divide.
        """
        if videos < 1:
            raise ValueError("there is no video to train on")
        if batch % world:
            raise ValueError(
                f"batch_size ({batch}) must be a multiple of the number of processes"
                f" ({world})"
            )
        self.videos, self.batch = videos, batch
        self.first, self.last = first, last
        self.keys, self.per_epoch = keys, per_epoch
        self.rank, self.world = rank, world
        self.steps_per_epoch = steps_per_epoch(videos, batch, per_epoch)

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, order = -1, torch.empty(0)
        for step in range(self.first, self.last):
            if step // self.steps_per_epoch != epoch:
                epoch = step // self.steps_per_epoch
                order = self._order(epoch)
            begin = step % self.steps_per_epoch * self.batch
            slots = range(self.rank, self.batch, self.world)
            yield [(step, slot, int(order[begin + slot])) for slot in slots]

    def _order(self, epoch: int) -> Tensor:
        source = generator(*self.keys, "order", epoch)
        needed = self.steps_per_epoch * self.batch
        rounds = -(-needed // self.videos)
        shuffles = [
            torch.randperm(self.videos, generator=source) for _ in range(rounds)
        ]
        return torch.cat(shuffles)[:needed]


def steps_per_epoch(videos: int, batch: int, per_epoch: int = 1) -> int:
    """Whole batches in an epoch; one if there are fewer clips than a batch."""
    return max(1, videos * per_epoch // batch)


class Clips(Dataset[Item]):
    """Clips made by a function of (video's number, generator)."""

    def __init__(
        self,
        make: Callable[[int, torch.Generator], Item],
        keys: tuple[int | str, ...],
    ) -> None:
        """Remember how to make a clip, and the name of its draws."""
        self.make, self.keys = make, keys

    def __getitem__(self, key: Key) -> Item:
        step, slot, video = key
        return self.make(video, generator(*self.keys, "clip", step, slot))


def load_batches(
    clips: Clips, sampler: StepSampler, workers: int, device: torch.device
) -> DataLoader[Item]:
    """Batches in the sampler's order; the same for any number of workers."""
    return DataLoader(
        clips,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=device.type == "cuda",
        worker_init_fn=_begin_worker if workers else None,
        prefetch_factor=4 if workers else None,
        generator=torch.Generator().manual_seed(seed_of(*clips.keys, "loader")),
    )


def collate(items: Sequence[Item]) -> Item:
    """Stack clips, padded with zeros at the end of each axis to the longest."""
    return {name: _stack([item[name] for item in items]) for name in items[0]}


def to_device(batch: Mapping[str, Tensor], device: torch.device) -> Item:
    """Move a batch; asynchronously if its memory is pinned."""
    return {name: x.to(device, non_blocking=True) for name, x in batch.items()}


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    longest = [max(sizes) for sizes in zip(*(t.shape for t in tensors), strict=True)]
    if all(list(t.shape) == longest for t in tensors):
        return torch.stack(list(tensors))
    out = tensors[0].new_zeros((len(tensors), *longest))
    for row, tensor in zip(out, tensors, strict=True):
        row[tuple(slice(size) for size in tensor.shape)] = tensor
    return out


def _begin_worker(worker: Any) -> None:
    # a cluster sends SIGTERM to every process of a job: the trainer still needs its
    # workers while it saves, and they end when it does
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
