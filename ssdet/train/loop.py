"""The training loop of every stage.

There is no trainer object: a stage hands over its model, its plan, its clips and the
function that turns clips into a loss; the loop does what is the same everywhere.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ssdet.config import OptimizerConfig
from ssdet.data.clips import Clips, Item, StepSampler, copied_ahead, load_batches
from ssdet.metrics import NotANumberError
from ssdet.models.bottleneck import recompute_blocks
from ssdet.models.sub_batch_norm import (
    evaluation_state,
    freeze_norms,
    norms,
    set_part,
)
from ssdet.progress import Progress
from ssdet.randomness import seed_of
from ssdet.stage import Interrupted, StageError
from ssdet.train.averages import Best, RunningAverage
from ssdet.train.checkpoint import Rolling, Stateful, metrics_path, resume_folder
from ssdet.train.distributed import Whole
from ssdet.train.execution import autocast, keep_freed_memory, place
from ssdet.train.interrupt import EXIT_STATUS, catch_signals
from ssdet.train.metrics_log import MetricsLog
from ssdet.train.optimizer import build_optimizer, clip_gradients, set_rate
from ssdet.train.plan import Plan
from ssdet.train.run import Run
from ssdet.train.step_numbers import Noted, StepNumbers

log = logging.getLogger(__name__)

# (network, clips on the device, step, (first, every)): the clips are those of the slots
# first, first + every, ... of the step's batch
Loss = Callable[[nn.Module, Item, int, tuple[int, int]], Tensor]
Validate = Callable[[nn.Module], Mapping[str, float]]


@dataclass
class Validated:
    """The step of the last validation, for the rolling state."""

    step: int = 0

    def state_dict(self) -> dict[str, Any]:
        """For the rolling state."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From the rolling state."""
        self.step = state["step"]


def train(
    run: Run,
    model: nn.Module,
    config: OptimizerConfig,
    plan: Plan,
    clips: Clips,
    loss_of: Loss,
    validate: Validate,
    *,
    keep_best: bool = False,
    factor: Callable[[str], float] = lambda name: 1.0,
    state: Mapping[str, Stateful] | None = None,
) -> dict[str, Tensor]:
    """Train from where the rolling state ends to the plan's end, saving as it goes.

    Args:
        run: which run it is.
        model: with the weights to start from; it is moved to the run's device.
        config: optimiser, clipping, averaging.
        plan: steps, rates, batches.
        clips: makes the clips; their order has the same name.
        loss_of: gives a scalar loss with its graph: the mean over the clips it is
            given, which are whole groups of batch normalisation.
        validate: called with a network in evaluation mode, in every process; returns
            named numbers to the leader.
        keep_best: return the weights with the highest `val_map`, not the last.
        factor: parameter name -> multiple of the learning rate.
        state: what else belongs to the rolling state, by name.

    Returns:
        The weights for evaluation, batch normalisation with the statistics of all
        processes.

    Raises:
        StageError: a batch cannot be shared, or the loss is not finite; the message
            names the step.
        Interrupted: SIGTERM arrived; the state is saved.
    """
    world, args = run.world, run.args
    check_shares(run, model, plan)
    if config.frozen_norm:
        freeze_norms(model)
    if args.activation_checkpointing:
        recompute_blocks(model)
    if world.device.type == "cpu":
        keep_freed_memory()
    place(model, world.device)
    optimizer = build_optimizer(model, config, factor)
    average = None if config.ema is None else RunningAverage(model, config.ema)
    evaluated = model if average is None else average.network
    best, validated = Best(evaluation_state(evaluated)), Validated()
    metrics = _metrics_log(run)
    parts: dict[str, Stateful] = {
        "model": Whole(model, world),
        "optimizer": optimizer,
        "metrics": metrics,
        "validated": validated,
        **(state or {}),
    }
    if average is not None:
        parts["average"] = average
    if keep_best:
        parts["best"] = best
    rolling = Rolling(args.out, run.job, parts, world.leads)
    first = rolling.restore()
    network = world.wrap(model)
    sampler = StepSampler(
        plan.videos,
        plan.shape,
        first,
        plan.steps,
        clips.keys,
        plan.clips_per_video,
        world.rank,
        world.size,
    )
    batches = copied_ahead(
        load_batches(clips, sampler, args.workers, world.device), world.device
    )
    numbers, saved = StepNumbers(world), time.monotonic()

    def note(found: list[Noted]) -> tuple[bool, bool]:
        """Log steps; whether any asks to stop, or to save."""
        for step in found:
            if not math.isfinite(step.loss):
                what = f"the loss is {step.loss}"
                raise StageError(_not_finite(run.stage, what, step.done - 1))
            bar.advance(1, loss=step.loss, waited_s=step.line["waited_s"])
            if world.leads:
                metrics.write(step.done, **step.line)
        return any(step.stops for step in found), any(step.dues for step in found)

    def save(done: int) -> None:
        nonlocal saved
        see_finite(run, model, done)
        rolling.save(done)
        world.wait()
        saved = time.monotonic()

    def validate_after(done: int) -> None:
        if not plan.validates_after(done) or validated.step == done:
            return
        with interrupt.allowed(), world.evaluating(model):
            if average is not None:
                average.copy_statistics(model)
            values = _validated(run, validate, evaluated, done)
            best.offer(done, values, evaluation_state(evaluated))
        validated.step = done
        if world.leads and values:
            metrics.write(done, **values)
            shown = ", ".join(f"{key} {value:.4g}" for key, value in values.items())
            log.info("%s step %d/%d: %s", run.stage, done, plan.steps, shown)

    model.train()
    with (
        catch_signals() as interrupt,
        Progress(plan.steps, run.stage, "step", first) as bar,
    ):
        validate_after(first)  # which the run before may have been cut off in
        for step, (batch, waited) in enumerate(_timed(batches), first):
            numbers.begin()
            world.deal_groups(model, plan.shape(step).groups)
            set_rate(optimizer, plan.rate(step))
            loss = _gradients(run, network, model, batch, loss_of, step)
            norm = clip_gradients(model, config.clip_norm)
            optimizer.step()
            if average is not None:
                average.update(model)
            done = step + 1
            late = time.monotonic() - saved >= args.checkpoint_seconds
            numbers.give(
                done, loss, norm, interrupt.came, late, plan.rate(step), waited
            )
            stops, dues = note(numbers.read())
            if stops or dues or plan.validates_after(done):
                stops |= note(numbers.read(everything=True))[0]
                save(done)
            if stops:
                log.warning(
                    "%s: stopped by a signal, state saved at %d", run.stage, done
                )
                raise Interrupted(EXIT_STATUS)
            validate_after(done)
    see_finite(run, model, plan.steps)
    world.gather_statistics(model)
    if average is not None:
        average.copy_statistics(model)
    if world.leads:
        metrics.finish(metrics_path(args.out))
    return best.weights if keep_best else evaluation_state(evaluated)


def check_shares(run: Run, model: nn.Module, plan: Plan) -> None:
    """See that every part of every batch is whole groups of batch normalisation.

    Raises:
        StageError: it is not.
    """
    parts = run.world.size * run.args.accumulate
    grouped = bool(norms(model))
    for shape in sorted(
        {plan.shape(step) for step in range(plan.steps)}, key=lambda s: s.batch
    ):
        if (shape.groups if grouped else shape.batch) % parts:
            raise StageError(
                f"a batch of {shape.batch} clips in {shape.groups} groups for batch"
                f" normalisation cannot be dealt to {run.world.size} processes in"
                f" {run.args.accumulate} parts each: {parts} must divide the number of"
                f" groups. Change resources.train.gpu, resources.accumulate,"
                f" {run.stage}.batch_size or {run.stage}.bn_group"
            )


def see_finite(run: Run, model: nn.Module, done: int) -> None:
    """See that a step has not made numbers of the model infinite; its loss was not.

    Raises:
        StageError: it has.
    """
    broken = [
        name
        for name, tensor in model.state_dict().items()
        if tensor.is_floating_point() and not tensor.isfinite().all()
    ]
    if broken:
        what = f"{len(broken)} tensors of the network are not finite ({broken[0]}, ...)"
        raise StageError(_not_finite(run.stage, what, done - 1))


def _gradients(
    run: Run,
    network: nn.Module,
    model: nn.Module,
    batch: Item,
    loss_of: Loss,
    step: int,
) -> Tensor:
    """Gradients of the step, averaged over the parts of the batch.

    Returns:
        The loss, float64, on the device.
    """
    world, parts = run.world, run.args.accumulate
    torch.manual_seed(seed_of(run.seed, run.stage, "step", step, world.rank))
    model.zero_grad(set_to_none=True)
    total = torch.zeros((), dtype=torch.float64, device=world.device)
    for part in range(parts):
        clips = {name: x[part::parts] for name, x in batch.items()}
        slots = (world.rank + part * world.size, parts * world.size)
        set_part(model, part, parts)
        last = part == parts - 1 or world.size == 1
        with nullcontext() if last else network.no_sync():  # type: ignore[operator]
            with autocast(world.device, run.args.precision):
                loss = loss_of(network, clips, step, slots)
            (loss / parts).backward()
        total += loss.detach().double() / parts
    return total


def _metrics_log(run: Run) -> MetricsLog:
    out: Path = run.args.out
    events = out.parent / "tensorboard" if run.args.tensorboard else None
    return MetricsLog(resume_folder(out) / "metrics.jsonl", events)


def _validated(
    run: Run, validate: Validate, network: nn.Module, done: int
) -> Mapping[str, float]:
    """What a validation finds.

    Raises:
        StageError: it finds no numbers.
    """
    try:
        values = validate(network)
    except NotANumberError as error:
        raise StageError(_not_finite(run.stage, f"{error}, met", done - 1)) from None
    for name, value in values.items():
        if math.isnan(value):
            raise StageError(_not_finite(run.stage, f"{name} is nan", done - 1))
    return values


def _not_finite(stage: str, what: str, step: int) -> str:
    return (
        f"{stage}: {what} at step {step + 1}. Lower {stage}.learning_rate,"
        f" lengthen its warm-up or set {stage}.clip_norm; the state before is kept, so"
        " a rerun with the same configuration repeats this"
    )


def _timed(batches: Iterable[Item]) -> Iterator[tuple[Item, float]]:
    """Batches, each with the seconds it was waited for."""
    begun = time.monotonic()
    for batch in batches:
        yield batch, time.monotonic() - begun
        begun = time.monotonic()
