"""What a run does, step by step: how many, at which rate, on which batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ssdet.config import EpochsConfig, PretrainConfig, SpotOptimizer
from ssdet.data.clips import Shape, steps_per_epoch
from ssdet.train.multigrid import MultigridShapes
from ssdet.train.schedule import rate_at


@dataclass(frozen=True)
class Plan:
    """A plan; steps count from 0.

    Attributes:
        steps: in all.
        validate_every: steps from one validation to the next; the last step always is.
        rate: step -> learning rate.
        shape: step -> its batch.
        videos: how many there are to make clips of.
        clips_per_video: in an epoch.
    """

    steps: int
    validate_every: int
    rate: Callable[[int], float]
    shape: Callable[[int], Shape]
    videos: int
    clips_per_video: int

    def validates_after(self, done: int) -> bool:
        """Whether there is a validation after so many steps."""
        return done == self.steps or (done > 0 and done % self.validate_every == 0)


def plan_of_epochs(config: EpochsConfig, videos: int, crop: int) -> Plan:
    """The plan of a stage that counts epochs; all its batches have one shape."""
    epoch = steps_per_epoch(videos, config.batch_size, config.clips_per_video)
    steps = config.epochs * epoch
    groups = config.batch_size // config.bn_group
    shape = Shape(config.batch_size, config.frames, crop, groups)
    return Plan(
        steps,
        config.validate_every * epoch,
        partial(rate_at, config, steps=steps, steps_per_unit=epoch),
        lambda step: shape,
        videos,
        config.clips_per_video,
    )


def plan_of_steps(config: PretrainConfig, videos: int, crop: int) -> Plan:
    """The plan of pretraining, which counts steps and may change shape."""
    groups = config.batch_size // config.bn_group
    base = Shape(config.batch_size, config.frames, crop, groups)
    shapes = MultigridShapes(base, config.steps, config.multigrid)

    def rate(step: int) -> float:
        return shapes.rate_factor(step) * rate_at(
            config, step, steps=config.steps, steps_per_unit=1
        )

    return Plan(config.steps, config.validate_every, rate, shapes, videos, 1)


def plan_of_snippets(config: SpotOptimizer, epoch: int, videos: int) -> Plan:
    """The plan of a stage on whole videos as snippets.

    Args:
        config: its section.
        epoch: steps in an epoch.
        videos: how many there are in a batch's place.
    """
    steps = config.epochs * epoch
    shape = Shape(config.batch_size, 1, 1, 1)  # no clips, no groups
    return Plan(
        steps,
        config.validate_every * epoch,
        partial(rate_at, config, steps=steps, steps_per_unit=epoch),
        lambda step: shape,
        videos,
        1,
    )
