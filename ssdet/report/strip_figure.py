"""Rows of frames with the weights of their labels under them, as SVG with JPEGs.

Matplotlib would embed the frames without loss, ten times larger.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ssdet.report.labels import LONGEST

COLOURS = ("#9aa3aa", "#2f6f9f", "#e08a2c")  # background, the clip, its partner
SHOWN_FRAMES = 16  # at most, of a clip
TILE, BAR, GAP = 64, 20, 14  # pixels: a frame, its weights, from row to row
TITLES, MARGIN, LEGEND = 110, 8, 28
EDGE = 1  # pixels of white on either side of a frame
QUALITY = 80
EMPTY = "#eef0f2"


@dataclass(frozen=True)
class Strip:
    """One row.

    Attributes:
        title: beside it.
        frames: (3, T, H, W) uint8.
        weights: (3, T) float, of background, the clip and its partner, in [0, 1].
    """

    title: str
    frames: Tensor
    weights: Tensor


def strip_figure(strips: Sequence[Strip], names: Sequence[str]) -> str:
    """Draw all rows.

    Args:
        strips: of the same number of frames.
        names: of the three labels.

    Returns:
        SVG.
    """
    columns = min(SHOWN_FRAMES, strips[0].frames.shape[1])
    across = columns * TILE
    row = TILE + BAR + GAP
    width, height = TITLES + across + MARGIN, LEGEND + row * len(strips) + MARGIN
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" version="1.1"'
        f' width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' font-family="DejaVu Sans, sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    place = TITLES
    for name, colour in zip(names, COLOURS, strict=True):
        short = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
        lines.append(_box(place, MARGIN, 12, 12, colour))
        lines.append(_text(place + 17, MARGIN + 11, short))
        place += 17 + 8 * len(short) + 20
    for number, strip in enumerate(strips):
        top = LEGEND + number * row
        image = base64.b64encode(_jpeg(strip.frames, columns)).decode()
        lines.append(_text(MARGIN, top + TILE // 2, strip.title))
        lines.append(
            f'<image x="{TITLES}" y="{top}" width="{across}" height="{TILE}"'
            f' preserveAspectRatio="none" href="data:image/jpeg;base64,{image}"/>'
        )
        lines.append(_box(TITLES, top + TILE, across, BAR, EMPTY))
        lines += _bars(strip.weights, top + TILE, across)
    return "\n".join([*lines, "</svg>", ""])


def _bars(weights: Tensor, top: int, across: int) -> list[str]:
    """Stacked bars of every frame, from the ground up: background, clip, partner."""
    step = across / weights.shape[1]
    boxes = []
    for t, shares in enumerate(weights.T.tolist()):
        ground = float(top + BAR)
        for share, colour in zip(shares, COLOURS, strict=True):
            if share > 0:
                tall = BAR * share
                ground -= tall
                left = TITLES + t * step
                boxes.append(_box(left + 0.5, ground, step - 1, tall, colour))
    return boxes


def _jpeg(frames: Tensor, columns: int) -> bytes:
    """Frames of a clip side by side."""
    shown = torch.linspace(0, frames.shape[1] - 1, columns).round().long().tolist()
    strip = Image.new("RGB", (columns * TILE, TILE), "white")
    for place, t in enumerate(shown):
        pixels = np.ascontiguousarray(frames[:, t].permute(1, 2, 0).numpy())
        tile = Image.fromarray(pixels).resize((TILE - 2 * EDGE, TILE))
        strip.paste(tile, (place * TILE + EDGE, 0))
    file = io.BytesIO()
    strip.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _box(left: float, top: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{left:.2f}" y="{top:.2f}" width="{width:.2f}"'
        f' height="{height:.2f}" fill="{colour}"/>'
    )


def _text(left: float, baseline: float, text: str) -> str:
    return f'<text x="{left}" y="{baseline}">{escape(text)}</text>'
