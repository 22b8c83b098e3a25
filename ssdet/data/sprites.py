"""How the generated videos look: textured sprites over a textured, calm background.

The look is drawn from a seed of its own and knows nothing of the class.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Pixels = NDArray[np.float32]

# Sprites are drawn once at this size and then sampled, so that motion by a fraction of
# a pixel and edges come out smooth.
TEXTURE = 128
EDGE = 0.12  # width of the soft edge, in radii


def draw_sprite(seed: int) -> Pixels:
    """Draw a sprite: a random outline filled with two or three random colours.

    No sprite looks the same after a turn: a spot lies off its centre.

    Args:
        seed: what the look is drawn from.

    Returns:
        (TEXTURE, TEXTURE, 4): colour times opacity in [0, 255], then opacity in [0, 1].
    """
    rng = np.random.default_rng(seed)
    axis = (np.arange(TEXTURE) + 0.5) / TEXTURE * 2 - 1
    v, u = np.meshgrid(axis, axis, indexing="ij")
    dark, bright = rng.uniform(0, 105, size=3), rng.uniform(140, 255, size=3)
    mix = _pattern(rng, u, v)[..., None]
    colour = dark + (bright - dark) * mix
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 0.5)
    to_spot = np.hypot(u - distance * np.cos(angle), v - distance * np.sin(angle))
    spot = np.clip((rng.uniform(0.28, 0.36) - to_spot) / EDGE + 0.5, 0, 1)[..., None]
    colour += (rng.uniform(0, 255, size=3) - colour) * spot
    opacity = _outline(rng, u, v)[..., None]
    return np.concatenate([colour * opacity, opacity], axis=2).astype(np.float32)


def draw_background(seed: int, side: int) -> Pixels:
    """Draw a background of weak contrast, (side, side, 3) in [0, 255]."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(70, 185, size=3)
    coarse = _smooth_noise(rng, 4, side, 3) * 60 - 30
    fine = _smooth_noise(rng, 12, side, 1) * 30 - 15
    return np.clip(base + coarse + fine, 0, 255).astype(np.float32)


def paste(
    canvas: Pixels, sprite: Pixels, x: float, y: float, turn: float, diameter: float
) -> None:
    """Lay a sprite over a square canvas; what passes an edge comes in opposite.

    Args:
        canvas: (side, side, 3), changed in place.
        sprite: from `draw_sprite`.
        x: column of the centre, in sides.
        y: row of the centre, in sides.
        turn: rotation in revolutions.
        diameter: in sides, below 1.
    """
    side = canvas.shape[0]
    radius = diameter * side / 2
    rows = np.arange(np.floor(y * side - radius), np.ceil(y * side + radius))
    columns = np.arange(np.floor(x * side - radius), np.ceil(x * side + radius))
    v = ((rows + 0.5 - y * side) / radius).astype(np.float32)[:, None]
    u = ((columns + 0.5 - x * side) / radius).astype(np.float32)
    # Half a texture per radius, so that u in [-1, 1] spans the texture.
    cosine = np.float32(np.cos(2 * np.pi * turn) * TEXTURE / 2)
    sine = np.float32(np.sin(2 * np.pi * turn) * TEXTURE / 2)
    texture_row = (v * cosine - u * sine + TEXTURE / 2).astype(np.int32)
    texture_column = (u * cosine + v * sine + TEXTURE / 2).astype(np.int32)
    inside = (0, TEXTURE - 1)
    index = texture_row.clip(*inside) * TEXTURE + texture_column.clip(*inside)
    patch = sprite.reshape(-1, 4).take(index, axis=0)
    where = np.ix_(rows.astype(np.int32) % side, columns.astype(np.int32) % side)
    canvas[where] = canvas[where] * (1 - patch[..., 3:]) + patch[..., :3]


def _outline(rng: Generator, u: NDArray, v: NDArray) -> NDArray:
    """Opacity of a random blob or polygon that just fits the unit circle."""
    angle = np.arctan2(v, u) + rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.5:
        orders = np.array([2, 3, 4])
        waves = rng.uniform(-0.12, 0.12, size=3)
        phases = rng.uniform(0, 2 * np.pi, size=3)
        reach = 1 + (waves * np.cos(angle[..., None] * orders + phases)).sum(-1)
    else:
        wedge = 2 * np.pi / rng.integers(3, 7)
        reach = 1 / np.cos(angle % wedge - wedge / 2)
        reach = reach + rng.uniform(0, 0.4)
    reach = reach / reach.max() * (1 - EDGE / 2)
    return np.clip((reach - np.hypot(u, v)) / EDGE + 0.5, 0, 1)


def _pattern(rng: Generator, u: NDArray, v: NDArray) -> NDArray:
    """Stripes, checks or blotches in [0, 1]."""
    kind = rng.integers(3)
    if kind == 2:
        wave = _smooth_noise(rng, 5, u.shape[0], 1)[..., 0] * 2 - 1
    else:
        angle, frequency = rng.uniform(0, np.pi), rng.uniform(0.8, 1.6) * np.pi
        phases = rng.uniform(0, 2 * np.pi, size=2)
        along = u * np.cos(angle) + v * np.sin(angle)
        across = v * np.cos(angle) - u * np.sin(angle)
        wave = np.sin(frequency * along + phases[0])
        if kind == 1:
            wave = wave * np.sin(frequency * across + phases[1])
    return np.clip(0.5 + 1.5 * wave, 0, 1)


def _smooth_noise(rng: Generator, cells: int, size: int, channels: int) -> NDArray:
    """Smooth noise in [0, 1] of `cells` cells per side: (size, size, channels)."""
    knots = rng.uniform(0, 1, size=(cells + 1, cells + 1, channels))
    place = (np.arange(size) + 0.5) / size * cells
    cell = place.astype(int)
    part = place - cell
    part = part * part * (3 - 2 * part)
    weights = np.zeros((size, cells + 1))
    weights[np.arange(size), cell] = 1 - part
    weights[np.arange(size), cell + 1] = part
    return np.einsum("hi,wj,ijc->hwc", weights, weights, knots)
