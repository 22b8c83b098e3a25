"""The motions that tell the classes of the generated sets apart, and nothing else does.

A sprite's state is four numbers, each in [0, 1) and each on a ring: x and y in sides of
the frame (what leaves at one edge comes back at the opposite one), turn in revolutions,
level from the smallest to the largest size. Every motion keeps a uniform state
uniform, so that one frame tells nothing of the class.

Training flips videos left to right. No two motions of a list are mirror images of each
other: sideways, circling and turning motions draw their direction at random.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float64]
Motion = Callable[[Array, Array, float, Generator], Array]

X, Y, TURN, LEVEL = range(4)

# ASSUME: speeds at pace 1. Nothing moves further than half a ring, or half a period,
# between frames 0.4 s apart, so that motions stay distinct at the detectors' stride.
PACE = (0.75, 1.35)
DRIFT = 0.32  # sides per second
SWAY, SWAY_S = 0.18, 2.2  # amplitude in sides, period in seconds
HOP, HOP_S = 0.28, 1.6
ORBIT, ORBIT_S = 0.17, 2.4
SHAKE = 0.06  # sides
SPIN = 0.35  # revolutions per second
ROCK, ROCK_S = 0.15, 2.0  # amplitude in revolutions, period in seconds
SWELL = 0.5  # whole size ranges per second
PULSE = 0.8


def rise(state: Array, seconds: Array, pace: float, rng: Generator) -> Array:
    """Move up steadily.

    All motions have these arguments.

    Args:
        state: (4,), x, y, turn and level before the motion.
        seconds: (n,), time since the motion began, for each of its frames.
        pace: factor on all speeds, from `PACE`.
        rng: source of what else is random, such as the direction.

    Returns:
        (n, 4), the states at those times.
    """
    return _moved(state, seconds, y=-DRIFT * pace * seconds)


def sink(state: Array, seconds: Array, pace: float, rng: Generator) -> Array:
    """Move down steadily."""
    return _moved(state, seconds, y=DRIFT * pace * seconds)


def slide(state: Array, seconds: Array, pace: float, rng: Generator) -> Array:
    """Move left or right steadily."""
    return _moved(state, seconds, x=_direction(rng) * DRIFT * pace * seconds)


def sway(state: Array, seconds: Array, pace: float, rng: Generator) -> Array:
    """Move left and right in turn."""
    wave = _triangle(seconds * pace / SWAY_S)
    return _moved(state, seconds, x=_direction(rng) * SWAY * wave)


def hop(state: Array, seconds: Array, pace: float, rng: Generator) -> Array:
    """Jump up and fall back, again and again."""
    phase = (seconds * pace / HOP_S) % 1
    return _moved(state, seconds, y=-HOP * 4 * phase * (1 - phase))


def circle(state: Array, seconds: Array, pace: float, rng: Generator) -> Array:
    """Go round in a circle, either way, without turning."""
    start = rng.uniform(0, 2 * np.pi)
    angle = start + _direction(rng) * 2 * np.pi * pace * seconds / ORBIT_S
    return _moved(
        state,
        seconds,
        x=ORBIT * (np.cos(angle) - np.cos(start)),
        y=ORBIT * (np.sin(angle) - np.sin(start)),
    )


def shake(state: Array, seconds: Array, pace: float, rng: Generator) -> Array:
    """Jump to and fro about one place, in each frame far from the one before."""
    angle = np.cumsum(rng.uniform(0.5 * np.pi, 1.5 * np.pi, size=seconds.size))
    return _moved(
        state,
        seconds,
        x=SHAKE * pace * np.cos(angle),
        y=SHAKE * pace * np.sin(angle),
    )


def spin(state: Array, seconds: Array, pace: float, rng: Generator) -> Array:
    """Turn about the centre, either way."""
    return _moved(state, seconds, turn=_direction(rng) * SPIN * pace * seconds)


def rock(state: Array, seconds: Array, pace: float, rng: Generator) -> Array:
    """Turn one way and back in turn."""
    wave = _triangle(seconds * pace / ROCK_S)
    return _moved(state, seconds, turn=_direction(rng) * ROCK * wave)


def grow(state: Array, seconds: Array, pace: float, rng: Generator) -> Array:
    """Grow to the largest size, start again at the smallest."""
    return _moved(state, seconds, level=SWELL * pace * seconds)


def shrink(state: Array, seconds: Array, pace: float, rng: Generator) -> Array:
    """Shrink to the smallest size, start again at the largest."""
    return _moved(state, seconds, level=-SWELL * pace * seconds)


def pulse(state: Array, seconds: Array, pace: float, rng: Generator) -> Array:
    """Grow and shrink in turn."""
    states = _moved(state, seconds)
    way = (state[LEVEL] + _direction(rng) * PULSE * pace * seconds) % 2
    states[:, LEVEL] = np.minimum(way, 2 - way)
    return states


CLASSIFICATION: tuple[tuple[str, Motion], ...] = (
    ("rising", rise),
    ("sinking", sink),
    ("sliding sideways", slide),
    ("circling", circle),
    ("growing", grow),
    ("shrinking", shrink),
    ("spinning", spin),
    ("shaking", shake),
)
DETECTION: tuple[tuple[str, Motion], ...] = (
    ("Someone rises", rise),
    ("Someone sinks", sink),
    ("Someone slides sideways", slide),
    ("Someone circles", circle),
    ("Someone spins", spin),
    ("Someone grows", grow),
    ("Someone hops up and down", hop),
    ("Someone sways from side to side", sway),
    ("Someone rocks to and fro", rock),
    ("Someone pulses", pulse),
)


def _moved(
    state: Array,
    seconds: Array,
    x: Array | float = 0.0,
    y: Array | float = 0.0,
    turn: Array | float = 0.0,
    level: Array | float = 0.0,
) -> Array:
    """`state` plus offsets of shape (n,), on the rings, as (n, 4)."""
    states = np.tile(state, (seconds.size, 1))
    for column, offset in enumerate((x, y, turn, level)):
        states[:, column] = (states[:, column] + offset) % 1
    return states


def _direction(rng: Generator) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def _triangle(periods: Array) -> Array:
    """A wave of period 1 that runs 0, 1, 0, -1, 0 with straight flanks."""
    return 1 - np.abs((periods + 0.25) % 1 * 4 - 2)
