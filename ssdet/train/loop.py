"""The training loop of every stage.

There is no trainer object: a stage hands over its model, its batches and the function
that turns a batch into a loss; the loop does what is the same everywhere.
"""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

import torch
from torch import Tensor, nn

from ssdet.data.clips import Clips, Item, StepSampler, load_batches, to_device
from ssdet.progress import Progress
from ssdet.randomness import seed_of
from ssdet.stage import Interrupted, StageError
from ssdet.train.checkpoint import Rolling
from ssdet.train.distributed import World
from ssdet.train.optimizer import set_rate

log = logging.getLogger(__name__)

HISTORY_POINTS = 200  # rows of the loss curve kept in the record


def train(
    *,
    name: str,
    seed: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    rate: Callable[[int], float],
    clips: Clips,
    videos: int,
    batch_size: int,
    clips_per_video: int,
    loss_of: Callable[[Item, int], Tensor],
    steps: int,
    rolling: Rolling,
    world: World,
    workers: int,
    checkpoint_seconds: float,
    validate: Callable[[], Mapping[str, float]],
    validate_every: int,
    validated: Callable[[int, Mapping[str, float]], None] = lambda step, values: None,
) -> None:
    """Train from where the rolling state ends to step `steps`, saving it as it goes.

    At the end, batch normalisation has the statistics of all processes.

    Args:
        name: the stage, for messages.
        seed: every step's own draws (dropout) are seeded from it.
        model: put in training mode.
        optimizer: its rate is set before every step.
        rate: step -> learning rate.
        clips: makes the clips; their order has the same name.
        videos: how many there are to make clips of.
        batch_size: clips of one step, over all processes.
        clips_per_video: clips of each video in an epoch.
        loss_of: (batch on the device, step) -> scalar loss with its graph.
        steps: steps in all.
        rolling: where the state comes from and goes to.
        world: this process among the job's.
        workers: processes that load clips; 0: this one.
        checkpoint_seconds: save the state this often; 0 saves after every step.
        validate: called with the model in evaluation mode; returns named numbers.
        validate_every: steps between validations; the last step is always validated.
        validated: told of every validation.

    Raises:
        StageError: the loss is not finite; the message names the step.
        Interrupted: SIGTERM arrived; the state is saved.
    """
    first = rolling.restore()
    sampler = StepSampler(
        videos,
        batch_size,
        first,
        steps,
        clips.keys,
        clips_per_video,
        world.rank,
        world.size,
    )
    batches = load_batches(clips, sampler, workers, world.device)
    history_every = max(1, steps // HISTORY_POINTS)
    saved = time.monotonic()
    model.train()
    with _terminate_politely() as stopping, Progress(steps, name, "step", first) as bar:
        for step, (batch, waited) in enumerate(_timed(batches), first):
            loss = _step(
                model, optimizer, rate(step), batch, loss_of, step, seed, name, world
            )
            done = step + 1
            bar.advance(1, loss=loss, waited_s=waited)
            row: dict[str, float] = {}
            if done % history_every == 0 or done == steps:
                row = {"loss": loss, "rate": rate(step)}
            if done % validate_every == 0 or done == steps:
                with world.evaluating(model):
                    values = validate()
                    validated(done, values)
                row.update(values)
                shown = ", ".join(f"{key} {value:.4g}" for key, value in values.items())
                if shown and world.leads:
                    log.info("%s step %d/%d: %s", name, done, steps, shown)
            if row:
                rolling.history.append({"step": done, **row})
            stop = world.any(bool(stopping))
            due = world.any(time.monotonic() - saved >= checkpoint_seconds)
            if done < steps and (stop or due):
                rolling.save(done)
                world.wait()
                saved = time.monotonic()
            if stop and done < steps:
                log.warning("%s: stopped by a signal, state saved at %d", name, done)
                raise Interrupted(143)
    world.gather_statistics(model)


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    rate: float,
    batch: Item,
    loss_of: Callable[[Item, int], Tensor],
    step: int,
    seed: int,
    name: str,
    world: World,
) -> float:
    """One step of the optimiser; returns the loss."""
    torch.manual_seed(seed_of(seed, name, "step", step, world.rank))
    set_rate(optimizer, rate)
    loss = loss_of(to_device(batch, world.device), step)
    value = loss.item()
    if not math.isfinite(value):
        raise StageError(
            f"{name}: the loss is {value} at step {step + 1}. Lower"
            f" {name}.learning_rate or lengthen its warm-up; the state before is kept,"
            " so a rerun with the same configuration repeats this"
        )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return value


def _timed(batches: Iterable[Item]) -> Iterator[tuple[Item, float]]:
    """Batches, each with the seconds it was waited for."""
    begun = time.monotonic()
    for batch in batches:
        yield batch, time.monotonic() - begun
        begun = time.monotonic()


@contextmanager
def _terminate_politely() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT in a list instead of dying from them."""
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, remember) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
