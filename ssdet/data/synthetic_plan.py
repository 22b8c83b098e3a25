"""What happens in each generated video, frame by frame, and how it is rendered.

Each video has a random generator of its own, seeded from the seed, the set, the split
and the video's number; it does not matter who renders it, nor when.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ssdet.config import SPLITS, SyntheticConfig
from ssdet.data import motions, sprites

Kind = Literal["classification", "detection"]
KINDS: tuple[Kind, ...] = ("classification", "detection")

# ASSUME: sizes and times by taste; spec says nothing of generated video.
CLIP_DIAMETER = (0.4, 0.75)  # smallest and largest sprite, in sides
VIDEO_DIAMETER = (0.32, 0.6)
ACTORS = (1, 3)
ACTION_S = (3.0, 8.0)
FIRST_REST_S = (0.2, 5.0)
REST_S = (2.0, 8.0)
SHORTEST_ACTION_S = 1.5
JITTER = 0.08  # chance of a small step of the background in a frame


@dataclass(frozen=True)
class Action:
    """Frames `start` to `stop - 1` (0-based) move as class `label`; start >= 1."""

    label: int
    start: int
    stop: int


@dataclass(frozen=True)
class Actor:
    """A sprite: its look, where it is in each frame, and when it acts.

    `states` is (frames, 4): x, y, turn and level (see `ssdet.data.motions`).
    """

    look: int
    states: NDArray[np.float64]
    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Plan:
    """A video. `jitter` is (frames, 2): the background's shift in pixels."""

    side: int
    fps: int
    diameter: tuple[float, float]
    background: int
    jitter: NDArray[np.int64]
    actors: tuple[Actor, ...]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.jitter)

    @property
    def actions(self) -> tuple[Action, ...]:
        """The actions of all actors, in order of start."""
        found = [action for actor in self.actors for action in actor.actions]
        return tuple(sorted(found, key=lambda action: (action.start, action.label)))


def draw_plan(
    kind: Kind, config: SyntheticConfig, seed: int, split: str, index: int
) -> Plan:
    """Plan video `index` (from 0) of a split of a set."""
    if kind == "classification":
        label = index % len(motions.CLASSIFICATION)
        return draw_clip(config, seed, split, index, label)
    return draw_video(config, seed, split, index)


def draw_clip(
    config: SyntheticConfig, seed: int, split: str, index: int, label: int
) -> Plan:
    """Plan a clip in which one sprite moves as class `label` all the time.

    Everything but the motion is drawn first and does not depend on `label`.
    """
    rng = _generator("classification", seed, split, index)
    frames = _draw_frames(rng, config.clip_s, config.fps)
    background, jitter = _draw_look(rng), _draw_jitter(rng, frames, config.side)
    look, state = _draw_look(rng), rng.random(4)
    seconds = np.arange(frames) / config.fps
    states = motions.CLASSIFICATION[label][1](state, seconds, _draw_pace(rng), rng)
    actor = Actor(look, states, (Action(label, 0, frames),))
    return Plan(config.side, config.fps, CLIP_DIAMETER, background, jitter, (actor,))


def draw_video(config: SyntheticConfig, seed: int, split: str, index: int) -> Plan:
    """Plan a video of a few sprites that rest, act, and rest again.

    A class is never acted twice at a time. The first sprite's first action is of class
    `index` modulo the number of classes, so that small sets have every class.
    """
    rng = _generator("detection", seed, split, index)
    frames = _draw_frames(rng, config.video_s, config.fps)
    background, jitter = _draw_look(rng), _draw_jitter(rng, frames, config.side)
    places = _draw_places(rng, int(rng.integers(ACTORS[0], ACTORS[1] + 1)))
    actors: list[Actor] = []
    for number, place in enumerate(places):
        look, state = _draw_look(rng), np.concatenate([place, rng.random(2)])
        taken = [action for actor in actors for action in actor.actions]
        first = index % len(motions.DETECTION) if number == 0 else None
        actions = _draw_actions(rng, frames, config.fps, taken, first)
        states = _act(rng, state, actions, frames, config.fps)
        actors.append(Actor(look, states, tuple(actions)))
    return Plan(
        config.side, config.fps, VIDEO_DIAMETER, background, jitter, tuple(actors)
    )


def render(video: Plan) -> Iterator[NDArray[np.uint8]]:
    """Render a plan.

    Yields:
        (side, side, 3), RGB, one frame after the other.
    """
    margin = int(np.abs(video.jitter).max(initial=0))
    scene = sprites.draw_background(video.background, video.side + 2 * margin)
    textures = [sprites.draw_sprite(actor.look) for actor in video.actors]
    smallest, largest = video.diameter
    for frame, (down, right) in enumerate(video.jitter + margin):
        canvas = scene[down : down + video.side, right : right + video.side].copy()
        for actor, texture in zip(video.actors, textures, strict=True):
            x, y, turn, level = actor.states[frame]
            diameter = smallest * (largest / smallest) ** level
            sprites.paste(canvas, texture, x, y, turn, diameter)
        yield (canvas + 0.5).astype(np.uint8)


def _generator(kind: Kind, seed: int, split: str, index: int) -> Generator:
    return np.random.default_rng([KINDS.index(kind), SPLITS.index(split), index, seed])


def _draw_frames(rng: Generator, span_s: tuple[float, float], fps: int) -> int:
    return round(rng.uniform(*span_s) * fps)


def _draw_look(rng: Generator) -> int:
    return int(rng.integers(2**63))


def _draw_pace(rng: Generator) -> float:
    return rng.uniform(*motions.PACE)


def _draw_jitter(rng: Generator, frames: int, side: int) -> NDArray[np.int64]:
    """Shifts (frames, 2) of the background: it rests, and now and then steps aside."""
    reach = max(1, side // 64)
    shifts = rng.integers(-reach, reach + 1, size=(frames, 2))
    steps = rng.random(frames) < JITTER
    steps[0] = True
    latest = np.maximum.accumulate(np.where(steps, np.arange(frames), 0))
    return shifts[latest]


def _draw_places(rng: Generator, count: int) -> NDArray[np.float64]:
    """Centres (count, 2) far from each other on the ring; each alone is uniform."""
    places = rng.random((1, 2))
    while len(places) < count:
        candidates = rng.random((8, 1, 2))
        gaps = np.abs(candidates - places)
        gaps = np.minimum(gaps, 1 - gaps)
        best = np.hypot(gaps[..., 0], gaps[..., 1]).min(1).argmax()
        places = np.concatenate([places, candidates[best]])
    return places


def _draw_actions(
    rng: Generator, frames: int, fps: int, taken: list[Action], first: int | None
) -> list[Action]:
    """Draw one sprite's actions, of classes that no other sprite acts just then."""
    actions: list[Action] = []
    earliest, latest = FIRST_REST_S
    latest = min(latest, frames / fps / 4)
    start = 1 + int(rng.uniform(min(earliest, latest), latest) * fps)
    while frames - start >= SHORTEST_ACTION_S * fps:
        stop = min(frames, start + round(rng.uniform(*ACTION_S) * fps))
        busy = {a.label for a in taken if a.start < stop and start < a.stop}
        free = [k for k in range(len(motions.DETECTION)) if k not in busy]
        drawn = free[int(rng.integers(len(free)))]
        label = drawn if first is None or actions else first
        actions.append(Action(label, start, stop))
        start = stop + round(rng.uniform(*REST_S) * fps)
    return actions


def _act(
    rng: Generator,
    state: NDArray[np.float64],
    actions: list[Action],
    frames: int,
    fps: int,
) -> NDArray[np.float64]:
    """States (frames, 4) of a sprite that rests wherever its last action left it.

    Frame `start` of an action is the first that differs from the one before.
    """
    states = np.tile(state, (frames, 1))
    for action in actions:
        seconds = np.arange(1, action.stop - action.start + 1) / fps
        move = motions.DETECTION[action.label][1]
        states[action.start : action.stop] = move(
            states[action.start - 1], seconds, _draw_pace(rng), rng
        )
        states[action.stop :] = states[action.stop - 1]
    return states
