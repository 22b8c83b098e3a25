"""Which augmentation a batch gets, and when.

`draw` makes every random choice, `apply` carries them out: the same draws give the same
batch. Order: Freeze, MixUp, CutMix. Partners are drawn inside groups of the batch,
those of batch normalisation: what the released program did inside one GPU's share.

Source: Kahatapitiya et al., AAAI 2023 (arXiv:2111.13675), section 3; spec of SSDet,
sections 3.2 and 3.8.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, get_args

import torch
from torch import Tensor

from ssdet.augment.cutmix import ViewDraw, transient_view, transient_window
from ssdet.augment.freeze import FreezeDraw, draw_freeze, volume_freeze
from ssdet.augment.mixup import volume_mixup
from ssdet.augment.pairs import PairDraw, draw_pair, draw_partner
from ssdet.augment.soft_labels import SoftLabels, hard_labels
from ssdet.config import AugmentConfig, Pretext

PRETEXTS: tuple[str, ...] = get_args(Pretext)
KINDS = ("freeze", "mixup", "cutmix")
MANIFOLD = "manifold_"  # begins the pretexts that augment feature maps too
LEVELS = 5  # the input, and the output of each of the four stages


@dataclass(frozen=True)
class Draws:
    """Every random choice for one batch; None for an augmentation no clip gets."""

    freeze: FreezeDraw | None
    mixup: PairDraw | None
    window: PairDraw | None
    view: ViewDraw | None

    def to(self, device: torch.device) -> Draws:
        """The same draws on a device."""
        return replace(
            self, **{f.name: _to(getattr(self, f.name), device) for f in fields(self)}
        )

    def share(self, first: int, every: int) -> Draws:
        """The draws of clips `first`, `first + every`, ...: whole groups of the batch.

        Args:
            first: below `every`.
            every: divides the number of groups.
        """
        freeze, view = self.freeze, self.view
        mine = slice(first, None, every)
        if freeze is not None:
            freeze = FreezeDraw(freeze.start[mine], freeze.length[mine])
        if view is not None:
            view = ViewDraw(view.partner[mine] // every, view.slides[mine])
        pairs = (self.mixup, self.window)
        mixup, window = (
            pair
            and PairDraw(
                pair.partner[mine] // every, pair.start[:, mine], pair.length[:, mine]
            )
            for pair in pairs
        )
        return Draws(freeze, mixup, window, view)


def number_of_outputs(classes: int, config: AugmentConfig) -> int:
    """Outputs of a detector: background has its own, at index 0, or none at all."""
    return classes + class_offset(config)


def class_offset(config: AugmentConfig) -> int:
    """Output of the first class: 1 if background is a class, which then has index 0."""
    return 1 if config.background == "class" else 0


def draw(
    pretext: str,
    batch: int,
    frames: int,
    groups: int,
    config: AugmentConfig,
    generator: torch.Generator,
) -> Draws:
    """Draw what happens to each clip of a batch.

    Args:
        pretext: one of PRETEXTS.
        batch: B, over all processes.
        frames: T.
        groups: in which partners are drawn; divides `batch`.
        config: lengths, kinds, coins.
        generator: on the CPU.

    Raises:
        ValueError: `pretext` is unknown, or the clips are too short for Freeze.
    """
    chosen = choose(pretext, batch, config, generator)
    freeze = mixup = window = view = None
    if chosen["freeze"].any():
        freeze = draw_freeze(batch, frames, config.freeze, generator)
        length = freeze.length * chosen["freeze"][:, None]
        freeze = FreezeDraw(freeze.start, length)
    if chosen["mixup"].any():
        mixup = draw_pair(batch, frames, generator, groups)
        mixup = _only(mixup, chosen["mixup"], frames)
    if chosen["cutmix"].any():
        if _cutmix_kind(config, generator) == "view":
            partner = draw_partner(batch, generator, groups)
            view = ViewDraw(_self_unless(chosen["cutmix"], partner), chosen["cutmix"])
        else:
            window = draw_pair(batch, frames, generator, groups)
            window = _only(window, chosen["cutmix"], frames)
    return Draws(freeze, mixup, window, view)


def draw_level(pretext: str, generator: torch.Generator) -> int:
    """Draw where in the network a batch is augmented: 0 at its input, n after stage n.

    A manifold pretext takes each level alike often; all others take the input, and draw
    nothing.
    """
    if not pretext.startswith(MANIFOLD):
        return 0
    return int(torch.randint(LEVELS, (), generator=generator))


def choose(
    pretext: str, batch: int, config: AugmentConfig, generator: torch.Generator
) -> dict[str, Tensor]:
    """Draw which clips get which augmentation.

    A single pretext is always on, and so is its manifold form. `joint` tosses a coin
    for each augmentation, so that a clip may get all or none; `joint_single` takes one
    of the three. Both decide once for the batch, or for each clip.

    Returns:
        For each of KINDS a mask (B,) bool.

    Raises:
        ValueError: `pretext` is unknown.
    """
    if pretext not in PRETEXTS:
        raise ValueError(
            f"pretext must be one of {', '.join(PRETEXTS)}, got {pretext!r}"
        )
    kinds = torch.arange(len(KINDS))[:, None]  # (3, 1)
    decisions = batch if config.joint.per == "clip" else 1
    if pretext == "joint":
        coins = torch.rand(len(KINDS), decisions, generator=generator)
        on = coins < config.joint.probability
    elif pretext == "joint_single":
        # ASSUME: one of the three, as the paper says; a comment in the released code
        # would also allow none.
        on = kinds == torch.randint(len(KINDS), (decisions,), generator=generator)
    else:
        single = pretext.removeprefix(MANIFOLD)
        on = torch.tensor([[kind == single] for kind in KINDS])
    return dict(zip(KINDS, on.expand(-1, batch), strict=True))


def apply(
    video: Tensor, labels: Tensor | SoftLabels, draws: Draws, config: AugmentConfig
) -> tuple[Tensor, SoftLabels]:
    """Carry out draws.

    Args:
        video: (B, C, T, H, W), clips or feature maps of them, floating point; not
            changed. Gradients pass.
        labels: (B,) int64, class of each clip from 0, background not counted; or what
            each frame shows, in output numbers of the detector.
        draws: for this batch.
        config: the one drawn with.

    Returns:
        New video (the given one, if nothing is to be done), and labels whose classes
        are output numbers of the detector: shifted by one if background is a class.

    Raises:
        ValueError: the video is not floating point, or `labels` has another B or T.
    """
    if video.dim() != 5 or not video.is_floating_point():
        raise ValueError(
            "video must be (B, C, T, H, W) and floating point (normalise it first), got"
            f" {tuple(video.shape)} {video.dtype}"
        )
    soft = _soft(labels, video, class_offset(config))
    draws = draws.to(video.device)
    if draws.freeze is not None:
        video, soft = volume_freeze(video, soft, draws.freeze, config.background)
    if draws.mixup is not None:
        video, soft = volume_mixup(
            video,
            soft,
            draws.mixup,
            covering=config.mixup.covering,
            shift=config.mixup.shift,
            symmetric=config.mixup.symmetric,
        )
    if draws.window is not None:
        video, soft = transient_window(
            video,
            soft,
            draws.window,
            covering=config.cutmix.covering,
            symmetric=config.mixup.symmetric,  # the window follows MixUp's curve
        )
    if draws.view is not None:
        video, soft = transient_view(video, soft, draws.view)
    return video, soft


def _soft(labels: Tensor | SoftLabels, video: Tensor, offset: int) -> SoftLabels:
    batch, frames = video.shape[0], video.shape[2]
    if isinstance(labels, SoftLabels):
        if labels.labels.shape[1:] != (batch, frames):
            raise ValueError(
                f"labels must be (M, B, T) with B={batch}, T={frames} like video, got"
                f" {tuple(labels.labels.shape)}"
            )
        return labels
    if labels.shape != video.shape[:1]:
        raise ValueError(
            f"labels must be (B,) with B={batch} like video, got {tuple(labels.shape)}"
        )
    return hard_labels(labels.to(video.device) + offset, frames)


def _cutmix_kind(config: AugmentConfig, generator: torch.Generator) -> str:
    if config.cutmix.kind != "either":
        return config.cutmix.kind
    return ("view", "window")[int(torch.randint(2, (), generator=generator))]


def _only(pair: PairDraw, chosen: Tensor, frames: int) -> PairDraw:
    """Let clips that are not chosen meet themselves, seen from first to last frame.

    Their video then stays as it is, and so does their loss, however it is normalised:
    both sources carry the same labels, their weights sum to 1.
    """
    return PairDraw(
        _self_unless(chosen, pair.partner),
        pair.start.masked_fill(~chosen, 0),
        pair.length.masked_fill(~chosen, frames),
    )


def _self_unless(chosen: Tensor, partner: Tensor) -> Tensor:
    return torch.where(chosen, partner, torch.arange(len(partner)))


def _to(draw: Any, device: torch.device) -> Any:
    if draw is None:
        return None
    moved = {
        f.name: getattr(draw, f.name).to(device, non_blocking=True)
        for f in fields(draw)
    }
    return replace(draw, **moved)
