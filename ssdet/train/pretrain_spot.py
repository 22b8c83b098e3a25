"""Pretrain SPOT on all training videos of a set, without their labels.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, section 7.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from torch import Tensor, nn

from ssdet.augment.random_foreground import crop, span_mask
from ssdet.config import SpotLosses, SpotNetwork, SpotPretrain, ValidationConfig
from ssdet.data.clips import Clips, Item, Shape, steps_per_epoch
from ssdet.models import build_spot
from ssdet.models.spot import Spot
from ssdet.randomness import generator
from ssdet.stage import run
from ssdet.train import distributed, loop, spot_data
from ssdet.train.distributed import World
from ssdet.train.plan import plan_of_snippets
from ssdet.train.pretext_loss import (
    PretextDraws,
    PretextLoss,
    blocks_of,
    draw_pretext,
    pretext_loss,
)
from ssdet.train.setup import add_sections
from ssdet.train.spot_losses import dice_score

REVISION = 1
STAGE = "pretrain_spot"
SECTIONS = (*spot_data.SECTIONS, "losses", "validation", "pretrain")


class Learner(nn.Module):
    """The network with its loss, so that processes share their gradients."""

    def __init__(
        self,
        network: Spot,
        blocks: int,
        cfg: SpotPretrain,
        losses: SpotLosses,
        seed: int,
    ) -> None:
        """Build.

        Args:
            network: is trained, but for its class branch.
            blocks: that are shuffled.
            cfg: the section of the stage.
            losses: the section of all losses.
            seed: start of all draws.
        """
        super().__init__()
        self.network = network
        self.network.class_branch.requires_grad_(False)
        self.blocks, self.cfg, self.losses, self.seed = blocks, cfg, losses, seed

    def forward(self, features: Tensor, *keys: int | str) -> PretextLoss:
        """Loss on features (B, inputs, T), with the draws of these keys."""
        draws, source = self.draws(len(features), features.shape[2], *keys)
        return pretext_loss(
            self.network, features, draws, self.cfg, self.losses, source
        )

    def draws(
        self, batch: int, snippets: int, *keys: int | str
    ) -> tuple[PretextDraws, torch.Generator]:
        """The draws of these keys, and where further ones come from."""
        source = generator(self.seed, STAGE, "draws", *keys)
        blocks = blocks_of(self.network, self.blocks)
        return (
            draw_pretext(batch, snippets, blocks, self.cfg.two_spans, source),
            source,
        )


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.train.pretrain_spot")
    spot_data.add_spot_arguments(parser)
    add_sections(parser, SECTIONS)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, train, write one checkpoint."""
    args = arguments().parse_args(argv)
    cfg = SpotPretrain.model_validate_json(args.pretrain)
    size = SpotNetwork.model_validate_json(args.network)
    losses = SpotLosses.model_validate_json(args.losses)
    fraction = ValidationConfig.model_validate_json(args.validation).fraction
    with distributed.session(args.device, args.out) as world:
        data = spot_data.open_snippets(args, "training")
        this = spot_data.begin_spot(STAGE, REVISION, SECTIONS, args, world, data, {})
        numbers = range(len(data.videos.records))
        kept, held = spot_data.set_aside(data.videos, numbers, fraction, args.seed)
        spot_data.check_choice("spot.pretrain", cfg.keep, held)
        torch.manual_seed(args.seed)
        features, classes = data.videos.features, data.dataset.classes
        network = build_spot(size, features.shape[1], len(classes))
        epoch = steps_per_epoch(len(kept), cfg.batch_size)
        weights = loop.train(
            this,
            Learner(network, size.order_blocks, cfg, losses, args.seed),
            cfg,
            plan_of_snippets(cfg, epoch, len(kept)),
            Clips(partial(_features, features[kept]), (args.seed, STAGE)),
            pretext_step,
            partial(validate, features[held], world),
            keep_best=cfg.keep == "best",
        )
        this.finish(spot_data.weights_of("network", weights), classes)


def pretext_step(
    learner: nn.Module, batch: Item, step: int, slots: tuple[int, int]
) -> Tensor:
    """Loss of one part of a batch."""
    loss: PretextLoss = learner(batch["features"], step, *slots)
    return loss.total


@torch.no_grad()
def validate(features: Tensor, world: World, learner: nn.Module) -> dict[str, float]:
    """Loss on videos set aside, with the same draws each time.

    Returns:
        `val_loss`; `val_dice`, overlap of found and true stretches; to the leader.
    """
    assert isinstance(learner, Learner)
    if not (world.leads and len(features)):
        return {}
    losses, overlaps = [], []
    for number, part in enumerate(features.split(learner.cfg.batch_size)):
        keys = ("validation", number)
        loss: PretextLoss = learner(part.to(world.device), *keys)
        losses.append(loss.total.item() * len(part))
        spans = learner.draws(len(part), part.shape[2], *keys)[0].spans
        found = learner.network(crop(part, spans).to(world.device)).mask
        merge = learner.network.compat == "fixed"
        target = span_mask(spans, part.shape[2], merge).to(world.device)
        overlaps.append(dice_score(found, target).sum().item())
    return {
        "val_loss": sum(losses) / len(features),
        "val_dice": sum(overlaps) / len(features),
    }


def _features(features: Tensor, number: int, shape: Shape, source: object) -> Item:
    return {"features": features[number]}


if __name__ == "__main__":
    run(main)
