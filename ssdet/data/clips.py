"""Training clips from the frame store, and the order in which they come.

A clip's draws (which frames, which crop) come from a generator named by (seed, stage,
step, slot), so a batch is the same whoever loads it and whenever.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from ssdet.randomness import generator, seed_of

Item = dict[str, Tensor]


@dataclass(frozen=True)
class Shape:
    """The batch of one step.

    Attributes:
        batch: clips, over all processes.
        frames: of a clip.
        crop: side of a frame, pixels.
        groups: of batch normalisation; clip i belongs to group i mod `groups`.
    """

    batch: int
    frames: int
    crop: int
    groups: int


Key = tuple[int, int, int, Shape]  # step, slot in the batch, number of the video


class StepSampler(Sampler[list[Key]]):
    """The videos of every step from `first` to `last`, for this process.

    Each epoch is a new shuffle. A process of rank r takes slots r, r + world, ...: with
    batch normalisation over strided groups, groups then stay the same for any number of
    processes.
    """

    def __init__(
        self,
        videos: int,
        shape: Callable[[int], Shape],
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
            shape: step -> its batch.
            first: step to begin with.
            last: step before which to end.
            keys: name of the order, such as (seed, stage).
            per_epoch: clips drawn of each video in an epoch, which are whole batches of
                the last step's size.
            rank: of this process.
            world: number of processes; divides every batch.

        Raises:
            ValueError: there is no video.
        """
        if videos < 1:
            raise ValueError("there is no video to train on")
        self.videos, self.shape = videos, shape
        self.first, self.last = first, last
        self.keys = keys
        self.rank, self.world = rank, world
        base = shape(last - 1).batch
        self.clips_per_epoch = base * steps_per_epoch(videos, base, per_epoch)

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[Key]]:
        taken = sum(self.shape(step).batch for step in range(self.first))
        order = self._order_from(taken)
        for step in range(self.first, self.last):
            shape = self.shape(step)
            numbers = [next(order) for _ in range(shape.batch)]
            slots = range(self.rank, shape.batch, self.world)
            yield [(step, slot, numbers[slot], shape) for slot in slots]

    def _order_from(self, taken: int) -> Iterator[int]:
        """Numbers of videos without end, after so many that were taken."""
        epoch, begin = divmod(taken, self.clips_per_epoch)
        while True:
            yield from self._order(epoch)[begin:]
            epoch, begin = epoch + 1, 0

    def _order(self, epoch: int) -> list[int]:
        source = generator(*self.keys, "order", epoch)
        rounds = -(-self.clips_per_epoch // self.videos)
        shuffles = [
            torch.randperm(self.videos, generator=source).tolist()
            for _ in range(rounds)
        ]
        return list(chain(*shuffles))[: self.clips_per_epoch]


def steps_per_epoch(videos: int, batch: int, per_epoch: int = 1) -> int:
    """Whole batches in an epoch; one if there are fewer clips than a batch."""
    return max(1, videos * per_epoch // batch)


class Clips(Dataset[Item]):
    """Clips made by a function of (video's number, shape of the batch, generator)."""

    def __init__(
        self,
        make: Callable[[int, Shape, torch.Generator], Item],
        keys: tuple[int | str, ...],
    ) -> None:
        """Remember how to make a clip, and the name of its draws."""
        self.make, self.keys = make, keys

    def __getitem__(self, key: Key) -> Item:
        step, slot, video, shape = key
        return self.make(video, shape, generator(*self.keys, "clip", step, slot))


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


def load_in_order(
    make: Callable[[int], Item], number: int, batch: int, workers: int
) -> DataLoader[Item]:
    """Batches of things 0 .. number - 1, all of one size but the last."""
    return DataLoader(
        _Numbered(make, number),
        batch_size=batch,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_begin_worker if workers else None,
        generator=torch.Generator(),
    )


def collate(items: Sequence[Item]) -> Item:
    """Stack clips, padded with zeros at the end of each axis to the longest.

    Clips that lie in memory in another order of axes stay so: moving pixels costs less
    on the device. In a worker the batch is made in the memory that processes share.
    """
    return {name: _stack([item[name] for item in items]) for name in items[0]}


def copied_ahead(batches: Iterable[Item], device: torch.device) -> Iterator[Item]:
    """Batches on a device; on a GPU each is copied while the one before is worked on.

    Args:
        batches: of pinned memory, if the device is a GPU.
        device: where they are wanted.
    """
    if device.type != "cuda":
        for batch in batches:
            yield to_device(batch, device)
        return
    stream = torch.cuda.Stream(device)
    before: tuple[Item, torch.cuda.Event] | None = None
    for batch in batches:
        with torch.cuda.stream(stream):
            copied = to_device(batch, device), stream.record_event()
        if before is not None:
            yield _arrived(*before, device)
        before = copied
    if before is not None:
        yield _arrived(*before, device)


def _arrived(batch: Item, copied: torch.cuda.Event, device: torch.device) -> Item:
    current = torch.cuda.current_stream(device)
    current.wait_event(copied)
    for x in batch.values():
        x.record_stream(current)  # its memory is not given away before it is used
    return batch


def to_device(batch: Mapping[str, Tensor], device: torch.device) -> Item:
    """Move a batch; asynchronously if its memory is pinned."""
    return {name: x.to(device, non_blocking=True) for name, x in batch.items()}


class _Numbered(Dataset[Item]):
    """Things made by a function of their number."""

    def __init__(self, make: Callable[[int], Item], number: int) -> None:
        self.make, self.number = make, number

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, number: int) -> Item:
        return self.make(number)


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    first = tensors[0]
    longest = [max(sizes) for sizes in zip(*(t.shape for t in tensors), strict=True)]
    if all(list(t.shape) == longest for t in tensors):
        order = sorted(range(first.dim()), key=first.stride, reverse=True)
        back = [0, *(1 + order.index(axis) for axis in range(first.dim()))]
        stacked: Tensor = default_collate([t.permute(order) for t in tensors])
        return stacked.permute(back)
    out = first.new_zeros((len(tensors), *longest))
    for row, tensor in zip(out, tensors, strict=True):
        row[tuple(slice(size) for size in tensor.shape)] = tensor
    return out


def _begin_worker(worker: Any) -> None:
    # a cluster sends SIGTERM to every process of a job: the trainer still needs its
    # workers while it saves, and they end when it does
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
