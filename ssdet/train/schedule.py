"""Learning rates over a run, step by step; steps count from 0.

Source: spec of SSDet, section 3.9.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ssdet.config import EpochsConfig, PretrainConfig, SpotOptimizer


def rate_at(
    config: PretrainConfig | EpochsConfig | SpotOptimizer,
    step: int,
    *,
    steps: int,
    steps_per_unit: int,
) -> float:
    """The learning rate of a step, as a stage's section says.

    Args:
        config: the section; it states warm-up and drops in steps or in epochs.
        step: from 0.
        steps: of the whole run.
        steps_per_unit: steps in an epoch; not used where the section counts steps.
    """
    if isinstance(config, PretrainConfig):
        warmup: float = config.warmup_steps
        drops: Sequence[float] = config.drop_steps
    else:
        warmup = config.warmup_epochs * steps_per_unit
        drops = [epoch * steps_per_unit for epoch in config.drop_epochs]
    if config.schedule == "one_cycle":
        return one_cycle(step, config.learning_rate, warmup, steps)
    return step_rate(step, config.learning_rate, warmup, drops, config.drop_factor)


def step_rate(
    step: int,
    base: float,
    warmup_steps: float,
    drop_steps: Sequence[float],
    factor: float,
) -> float:
    """Rise in a line from the first step; then stay, and drop at given steps.

    Args:
        step: from 0.
        base: rate at the end of the warm-up.
        warmup_steps: the last of them has rate `base`; 0 for none.
        drop_steps: from each on, the rate is `factor` times what it was.
        factor: in (0, 1).
    """
    drops = sum(step >= drop for drop in drop_steps)
    return base * _warmup(step, warmup_steps) * factor**drops


def one_cycle(step: int, base: float, warmup_steps: float, steps: int) -> float:
    """Rise in a line to `base`, then fall along half a cosine, to zero after the end.

    Args:
        step: from 0.
        base: highest rate.
        warmup_steps: the last of them has rate `base`; 0 for none.
        steps: of the whole run, more than `warmup_steps`.
    """
    # ASSUME: no source defines this schedule; the warm-up is the one of `step_rate`.
    fall = max(0.0, step + 1 - warmup_steps) / (steps + 1 - warmup_steps)
    return base * _warmup(step, warmup_steps) * 0.5 * (1 + math.cos(math.pi * fall))


def reference_rates(
    step: int,
    base: float,
    warmup_steps: int,
    drop_steps: Sequence[int],
    factor: float,
) -> tuple[float, float]:
    """Rates of head and backbone as released: both flaws of its warm-up included.

    The first two steps run at full rate, the backbone at a tenth of it; then the
    warm-up writes the head's rate into both.
    """
    if step < 2:
        return base, base / 10
    rate = step_rate(step, base, warmup_steps, drop_steps, factor)
    return rate, rate


def _warmup(step: int, warmup_steps: float) -> float:
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
