"""The Coarse-Fine network: few frames at full context, steered by fine features.

Source: Kahatapitiya and Ryoo, CVPR 2021 (arXiv:2103.01302).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from ssdet.models.alignment import (
    Compat,
    even_centres,
    gaussian_alignment,
    grid_centres,
)
from ssdet.models.detector import X3DDetector
from ssdet.models.fusion import FilmInit, Mixing, MultiStageFusion, modulate
from ssdet.models.grid_pool import RATIO, GridPool
from ssdet.models.grid_unpool import Unpool, grid_unpool
from ssdet.models.precision import full
from ssdet.models.x3d import FEATURES

TemporalPool = Literal["grid", "stride", "avg", "max", "none"]


class CoarseFine(nn.Module):
    """The coarse stream, fused with cached features of the fine stream.

    The trunk is a single-stream detector. Between its first and second stage Grid Pool
    keeps L + 1 = ceil(T / 4) + 1 frames; the fine features shift and scale the output
    of every stage and the logits, which Grid Unpool then spreads over the clip again.
    """

    def __init__(
        self,
        *,
        depth_factor: float,
        width_factor: float,
        head_width: int,
        classes: int,
        dropout: float,
        fine_frames: int,
        compat: Compat,
        unpool: Unpool,
        film_init: FilmInit,
        temporal_pool: TemporalPool = "grid",
        mixing: Mixing = "all",
        fusion: bool = True,
    ) -> None:
        """Build.

        Args:
            depth_factor: of the trunk; see `x3d.PRESETS`.
            width_factor: of the trunk, and of the network that made the features.
            head_width: channels between the classifier's two layers.
            classes: N.
            dropout: probability, in the head and in the fusion of logits.
            fine_frames: fine frames that training sees at most; caps the width of the
                alignment.
            compat: `fixed`, or `reference` to repeat its off-by-one (see
                `grid_centres`, `even_centres`, `MultiStageFusion`).
            unpool: see `grid_unpool`.
            film_init: see `fusion.Mix`.
            temporal_pool: `grid`; for ablations `stride`, `avg`, `max` (evenly, by 4)
                or `none`, which all leave out Grid Unpool.
            mixing: see `MultiStageFusion`.
            fusion: False leaves the single coarse stream.

        Raises:
            ValueError: an option has none of its values.
        """
        super().__init__()
        for name, value, known in (
            ("compat", compat, ("fixed", "reference")),
            ("unpool", unpool, ("resize", "direct")),
            ("temporal_pool", temporal_pool, ("grid", "stride", "avg", "max", "none")),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {known}, got {value!r}")
        self.compat = compat
        self.unpool = unpool
        self.temporal_pool = temporal_pool
        self.fine_frames = fine_frames
        self.trunk = X3DDetector(
            depth_factor=depth_factor,
            width_factor=width_factor,
            head_width=head_width,
            classes=classes,
            dropout=dropout,
            mode="loc",
        )
        widths = self.trunk.backbone.widths
        self.grid_pool = GridPool(widths[0]) if temporal_pool == "grid" else None
        self.fusion: MultiStageFusion | None = None
        if fusion:
            self.fusion = MultiStageFusion(
                widths,
                self.trunk.backbone.conv5_width,
                classes,
                dropout,
                mixing,
                film_init,
                compat,
            )

    def forward(
        self,
        video: Tensor,
        features: Mapping[str, Tensor] | None = None,
        feature_mask: Tensor | None = None,
        start: Tensor | None = None,
        record: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Detect.

        Args:
            video: (B, 3, T, H, W).
            features: maps (B, C, T', P, P) by their name in `x3d.FEATURES`. With the
                next two needed unless the network was built without fusion.
            feature_mask: (B, T'), 1 on valid fine frames.
            start: (B,), where the clip's first frame lies among the fine frames (one
                fine frame is one frame of the clip); may be a fraction, or negative.
            record: takes up what the pass computes on the way: layer1 to layer4 (before
                fusion), conv5, pooled, confidence (B, L), grid (B, K), alignment
                (B, T', K), head_logits, shift and scale (B, N, K).

        Returns:
            Logits (B, N, 4 L) in float32 or better: sample n lies at frame
            n (T - 1) / (4 L - 1) of the clip. Without Grid Pool (B, N, K).

        Raises:
            ValueError: features, mask or start are missing, or do not fit each other.
        """
        backbone = self.trunk.backbone
        fine = self._fine_input(len(video), features, feature_mask, start)
        x = backbone.stages[0](backbone.stem(video))
        _note(record, layer1=x)
        x, grid = self._pool_time(x, record)
        shifts: list[Tensor] = []
        scales: list[Tensor] = []
        if self.fusion is not None and fine is not None:
            centres = self._centres(grid, x.shape[2], video.shape[2], fine.start)
            alignment = gaussian_alignment(centres, fine.mask, self.fine_frames)
            maps = [fine.features[name] for name in FEATURES[:4]]
            shifts, scales = self.fusion.at_depths(maps, fine.mask, alignment)
            _note(record, alignment=alignment)
        for index, stage in enumerate(backbone.stages):
            if index > 0:
                x = stage(x)
                _note(record, **{FEATURES[index]: x})
            if self.fusion is not None:
                size = (x.shape[3], x.shape[4])
                x = modulate(x, *self.fusion.for_stage(index, shifts, scales, size))
        x = backbone.finish(x)
        logits = full(self.trunk.head(x))  # (B, N, K)
        _note(record, conv5=x, head_logits=logits)
        if self.fusion is not None and fine is not None:
            shift, scale = self.fusion.logits.of_logits(
                fine.features["conv5"], fine.mask, alignment
            )
            _note(record, shift=shift, scale=scale)
            logits = logits * scale + shift
        if grid is None:
            return logits
        return grid_unpool(logits, grid, self.unpool)

    def _pool_time(
        self, x: Tensor, record: dict[str, Tensor] | None
    ) -> tuple[Tensor, Tensor | None]:
        """Fewer frames of (B, C, T, H, W), and the grid if they were chosen."""
        if self.grid_pool is not None:
            x, grid, confidence = self.grid_pool(x)
            _note(record, pooled=x, grid=grid, confidence=confidence)
            return x, grid
        if self.temporal_pool == "stride":
            x = x[:, :, ::RATIO]
        elif self.temporal_pool == "avg":
            x = F.avg_pool3d(x, (RATIO, 1, 1), ceil_mode=True)
        elif self.temporal_pool == "max":
            x = F.max_pool3d(x, (RATIO, 1, 1), ceil_mode=True)
        _note(record, pooled=x)
        return x, None

    def _centres(
        self, grid: Tensor | None, count: int, frames: int, start: Tensor
    ) -> Tensor:
        if grid is not None:
            return grid_centres(grid, frames, start, self.compat)
        ratio = 1 if self.temporal_pool == "none" else RATIO
        return even_centres(count, ratio, start, self.compat)

    def _fine_input(
        self,
        batch: int,
        features: Mapping[str, Tensor] | None,
        mask: Tensor | None,
        start: Tensor | None,
    ) -> _Fine | None:
        """The fine stream's side of the input, checked; None without fusion."""
        if self.fusion is None:
            return None
        if features is None or mask is None or start is None:
            raise ValueError(
                "features, feature_mask and start are needed: this Coarse-Fine network"
                " was built with fusion"
            )
        problems = []
        if mask.ndim != 2 or len(mask) != batch:
            problems.append(f"feature_mask must be ({batch}, T'), is {_shape(mask)}")
        if start.shape != (batch,):
            problems.append(f"start must be ({batch},), is {_shape(start)}")
        for name, width in self.trunk.backbone.feature_channels.items():
            expected = (batch, width, mask.shape[-1])
            if name not in features:
                problems.append(f"{name} is missing")
            elif features[name].ndim != 5 or features[name].shape[:3] != expected:
                problems.append(
                    f"{name} must be ({batch}, {width}, {mask.shape[-1]}, P, P), is"
                    f" {_shape(features[name])}"
                )
        if problems:
            raise ValueError("fine features do not fit: " + "; ".join(problems))
        return _Fine(features, mask, start)


class _Fine(NamedTuple):
    """What the fine stream gives: maps, which frames of them are real, the offset."""

    features: Mapping[str, Tensor]
    mask: Tensor
    start: Tensor


def _note(record: dict[str, Tensor] | None, **tensors: Tensor) -> None:
    if record is not None:
        record.update(tensors)


def _shape(x: Tensor) -> str:
    return str(tuple(x.shape))
