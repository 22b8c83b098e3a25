"""The numbers of each step, read from the device without making it wait.

To ask a GPU for a number is to wait until it has done all that it was given, and then
it idles until it is given more. So the numbers of a step are read after the next step
was given to it; on a CPU, which is done by then, at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ssdet.train.distributed import World


class Noted(NamedTuple):
    """What was read of a step.

    Attributes:
        done: steps done, with this one.
        loss: of the batch of all processes.
        stops: how many processes had got a signal.
        dues: how many processes held it time to save.
        line: the numbers for the metrics.
    """

    done: int
    loss: float
    stops: float
    dues: float
    line: dict[str, float]


class StepNumbers:
    """Steps that the device was given, and what is not yet read of them."""

    def __init__(self, world: World) -> None:
        """Begin before the first step."""
        self._world = world
        self._begun: float | torch.cuda.Event = 0.0
        self._before: float | torch.cuda.Event | None = None  # end of the last one read
        self._given: deque[_Given] = deque()

    def begin(self) -> None:
        """Mark that the device is given the next step from here on."""
        self._begun = _moment(self._world.device)

    def give(
        self,
        done: int,
        loss: Tensor,
        more: Mapping[str, Tensor],
        stops: bool,
        dues: bool,
        rate: float,
        waited_s: float,
    ) -> None:
        """Take up a step that the device was given; all processes must.

        Args:
            done: steps done, with this one.
            loss: of this process's share, float64, on the device.
            more: numbers on the device that are the same in all processes, by name.
            stops: whether this process has got a signal.
            dues: whether this process holds it time to save.
            rate: of learning.
            waited_s: that this process waited for the batch.
        """
        flags = (loss.new_full((), float(flag)) for flag in (stops, dues))
        numbers = self._world.add_up(torch.stack([loss, *flags]))
        numbers = torch.stack([*numbers, *(x.detach().double() for x in more.values())])
        self._given.append(
            _Given(
                done,
                numbers.to("cpu", non_blocking=True),  # into pinned memory
                tuple(more),
                self._begun,
                _moment(self._world.device),
                rate,
                waited_s,
            )
        )

    def read(self, everything: bool = False) -> list[Noted]:
        """Read the steps given so far, but for the last one where that would wait.

        Args:
            everything: the last one too; other work follows it.
        """
        left = int(reads_late(self._world.device) and not everything)
        found = []
        while len(self._given) > left:
            found.append(self._read(self._given.popleft()))
        if everything:
            self._before = None
        return found

    def _read(self, given: _Given) -> Noted:
        """Wait for a step.

        The device waited for data at most as long as it did nothing. The seconds of all
        steps add up to those of the run, without validation and saving.
        """
        seconds, waited_s = _seconds(given.begun, given.ended), given.waited_s
        idle_s = waited_s
        if self._before is not None:
            idle_s = _seconds(self._before, given.begun)
            waited_s = min(waited_s, idle_s)
        self._before = given.ended
        total, stops, dues, *more = given.numbers.tolist()
        loss = total / self._world.size
        line = {"loss": loss, "rate": given.rate, "waited_s": waited_s}
        line["step_s"] = idle_s + seconds
        line.update(zip(given.names, more, strict=True))
        return Noted(given.done, loss, stops, dues, line)


class _Given(NamedTuple):
    """A step that is not yet read."""

    done: int
    numbers: Tensor  # of all processes: loss, stops, dues; then those with names
    names: tuple[str, ...]
    begun: float | torch.cuda.Event
    ended: float | torch.cuda.Event
    rate: float
    waited_s: float


def reads_late(device: torch.device) -> bool:
    """Whether a step's numbers are read after the next step was given."""
    return device.type == "cuda"


def _moment(device: torch.device) -> float | torch.cuda.Event:
    """Now; of a GPU, when it comes to here in its work."""
    if device.type != "cuda":
        return time.monotonic()
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    return event


def _seconds(first: float | torch.cuda.Event, last: float | torch.cuda.Event) -> float:
    """From one moment to another; waits until it has come."""
    if isinstance(first, float) or isinstance(last, float):
        assert isinstance(first, float) and isinstance(last, float)
        return last - first
    last.synchronize()
    return float(first.elapsed_time(last)) / 1000
