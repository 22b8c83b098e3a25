"""Multi-stage fusion: fine features steer every stage of the coarse stream.

Everything here acts on each cell of the small feature maps (7 x 7) by itself, so it is
computed at that size; the reference does the same at up to 64 times the size.

Source: Kahatapitiya and Ryoo, CVPR 2021 (arXiv:2103.01302), section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssdet.models.alignment import Compat
from ssdet.models.precision import full, no_autocast

FilmInit = Literal["default", "identity"]
Mixing = Literal["all", "same"]
NATIVE = 56  # side of the first stage's maps at the reference's input size
OPEN = 4.0  # sigmoid of it is 0.98: an opened gate


class Pointwise(nn.Module):
    """Two layers that act on each position by itself, with a ReLU between."""

    def __init__(self, channels: int, out: int, dropout: float = 0.0) -> None:
        """Build for inputs of `channels` channels; `dropout` follows the ReLU."""
        super().__init__()
        self.hidden = nn.Conv1d(channels, channels, 1)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Conv1d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> (B, out, ...)."""
        y = self.out(self.dropout(F.relu(self.hidden(x.flatten(2)))))
        return y.unflatten(2, x.shape[2:])


class DepthFusion(nn.Module):
    """One depth: filter fine features, gather them in time, make shift and scale."""

    def __init__(self, channels: int, out: int, dropout: float = 0.0) -> None:
        """Build.

        Args:
            channels: C of the fine features.
            out: channels of shift and scale.
            dropout: probability, inside the layers that make shift and scale.
        """
        super().__init__()
        self.attention = Pointwise(channels, 1)
        self.shift = Pointwise(channels, out, dropout)
        self.scale = Pointwise(channels, out, dropout)

    def gather(self, features: Tensor, mask: Tensor, alignment: Tensor) -> Tensor:
        """Mean of fine features around each coarse frame.

        Args:
            features: (B, C, T', P, P).
            mask: (B, T'), 1 on valid fine frames.
            alignment: (B, T', K), from `gaussian_alignment`.

        Returns:
            (B, C, K, P, P).
        """
        features = features.to(self.attention.hidden.weight.dtype)
        attention = torch.sigmoid(self.attention(features))  # (B, 1, T', P, P)
        with no_autocast(features):
            weight = full(attention) * full(mask)[:, None, :, None, None]
            alignment = full(alignment)
            total = torch.einsum("bothw,btk->bokhw", weight, alignment)
            summed = torch.einsum(
                "bcthw,btk->bckhw", full(features) * weight, alignment
            )
            return summed / (total + 1e-6)

    def forward(
        self, features: Tensor, mask: Tensor, alignment: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Shift and scale (B, out, K, P, P); the scale is not yet in (0, 1)."""
        gathered = self.gather(features, mask, alignment)
        return self.shift(gathered), self.scale(gathered)

    def of_logits(
        self, features: Tensor, mask: Tensor, alignment: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Shift (B, out, K) and scale in (0, 1) for logits: space is averaged."""
        gathered = self.gather(features, mask, alignment).mean((3, 4))  # (B, C, K)
        return self.shift(gathered), torch.sigmoid(self.scale(gathered))


class Mix(nn.Module):
    """Shift and scale of one coarse stage, from those of all depths."""

    def __init__(self, channels: int, out: int, film_init: FilmInit) -> None:
        """Build.

        Args:
            channels: of all depths together.
            out: of the coarse stage.
            film_init: `default` draws the weights, so that activations are first
                halved; `identity` starts with no shift and an open gate.
        """
        super().__init__()
        self.shift = nn.Conv1d(channels, out, 1)
        self.scale = nn.Conv1d(channels, out, 1)
        if film_init == "identity":
            for layer, bias in ((self.shift, 0.0), (self.scale, OPEN)):
                nn.init.zeros_(layer.weight)
                nn.init.constant_(layer.bias, bias)  # type: ignore[arg-type]

    def forward(
        self, shifts: Sequence[Tensor], scales: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Mix (B, C_l, K, h, w) of each depth to (B, out, K, h, w), scale in (0, 1)."""
        size = shifts[0].shape[2:]
        shift = self.shift(torch.cat(list(shifts), 1).flatten(2)).unflatten(2, size)
        scale = self.scale(torch.cat(list(scales), 1).flatten(2)).unflatten(2, size)
        return shift, torch.sigmoid(scale)


class MultiStageFusion(nn.Module):
    """Fusion at the four stages and at the logits."""

    def __init__(
        self,
        widths: Sequence[int],
        conv5_width: int,
        classes: int,
        dropout: float,
        mixing: Mixing,
        film_init: FilmInit,
        compat: Compat,
    ) -> None:
        """Build.

        Args:
            widths: channels of the stages, the same in both streams.
            conv5_width: channels of the fine stream's conv5.
            classes: K.
            dropout: probability, in the fusion of logits.
            mixing: `all` lets every stage see every depth; `same` only its own.
            film_init: see `Mix`.
            compat: `reference` resizes maps through the size its stage would have at
                the reference's input size.

        Raises:
            ValueError: another mixing or film_init.
        """
        super().__init__()
        if mixing not in ("all", "same"):
            raise ValueError(f"mixing must be 'all' or 'same', got {mixing!r}")
        if film_init not in ("default", "identity"):
            raise ValueError(
                f"film_init must be 'default' or 'identity', got {film_init!r}"
            )
        self.compat = compat
        self.depths = nn.ModuleList(DepthFusion(width, width) for width in widths)
        together = sum(widths)
        self.mixes = nn.ModuleList(
            Mix(together, width, film_init) if mixing == "all" else nn.Identity()
            for width in widths
        )
        self.mixing = mixing
        self.logits = DepthFusion(conv5_width, classes, dropout)

    def at_depths(
        self, features: Sequence[Tensor], mask: Tensor, alignment: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Shift and scale of each depth, once for a pass.

        Args:
            features: (B, C_l, T', P, P) of layer1 to layer4.
            mask: (B, T').
            alignment: (B, T', K).

        Returns:
            Shifts and scales, (B, C_l, K, P, P).
        """
        pairs = [
            depth(maps, mask, alignment)
            for depth, maps in zip(self.depths, features, strict=True)
        ]
        return [shift for shift, _ in pairs], [scale for _, scale in pairs]

    def for_stage(
        self,
        stage: int,
        shifts: Sequence[Tensor],
        scales: Sequence[Tensor],
        size: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """Shift and scale of one coarse stage.

        Args:
            stage: 0 to 3.
            shifts: of each depth, (B, C_l, K, P, P).
            scales: likewise.
            size: (H, W) of the coarse stage's maps.

        Returns:
            Shift and scale (scale in (0, 1)), (B, C, K, H, W), or (B, C, K, P, P) where
            each cell stands for H / P by W / P equal ones; `modulate` takes both.
        """
        depths = range(len(shifts)) if self.mixing == "all" else (stage,)
        through = [NATIVE >> d if self.compat == "reference" else None for d in depths]
        if not all(_repeats(shifts[0].shape[-1], size, via) for via in through):
            chains = list(zip(depths, through, strict=True))
            shifts = [_resize(shifts[d], size, via) for d, via in chains]
            scales = [_resize(scales[d], size, via) for d, via in chains]
        elif self.mixing == "same":
            shifts, scales = [shifts[stage]], [scales[stage]]
        if self.mixing == "same":
            return shifts[0], torch.sigmoid(scales[0])
        shift, scale = self.mixes[stage](shifts, scales)
        return shift, scale


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Scale, then shift; a cell of small maps acts on a whole block of `x`.

    Args:
        x: (B, C, K, H, W).
        shift: (B, C, K, h, w); h divides H and w divides W.
        scale: likewise.
    """
    if shift.shape == x.shape:
        return x * scale + shift
    rows, columns = shift.shape[3:]
    blocks = x.unflatten(4, (columns, -1)).unflatten(3, (rows, -1))
    blocks = blocks * scale[..., :, None, :, None] + shift[..., :, None, :, None]
    return blocks.flatten(5, 6).flatten(3, 4)


def _repeats(side: int, size: tuple[int, int], through: int | None) -> bool:
    """Whether resizing maps only repeats their cells.

    If so it can wait for `modulate`: all that comes before acts on each cell by itself.
    """
    sizes = size if through is None else (*size, through)
    return all(length % side == 0 for length in sizes)


def _resize(x: Tensor, size: tuple[int, int], through: int | None) -> Tensor:
    """Bring maps (B, C, K, P, P) to (H, W) by adaptive max pooling."""
    maps = x.flatten(1, 2)  # (B, C * K, P, P)
    if through is not None:
        maps = F.adaptive_max_pool2d(maps, through)
    return F.adaptive_max_pool2d(maps, size).unflatten(1, x.shape[1:3])
