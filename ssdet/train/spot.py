"""Train SPOT on videos with labels and videos without.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, section 9.
"""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ssdet.config import SpotLosses, SpotNetwork, SpotTrain, ValidationConfig
from ssdet.data.clips import Clips, Item, Shape, StepSampler
from ssdet.data.label_splits import draw_unlabelled, read_unlabelled
from ssdet.data.snippet_targets import class_mask, targets_of
from ssdet.metrics import average_precision, mean_over_present
from ssdet.models import build_spot
from ssdet.models.spot import Spot
from ssdet.randomness import generator
from ssdet.stage import StageError, run
from ssdet.train import distributed, loop, spot_data
from ssdet.train.checkpoint import load_initial
from ssdet.train.distributed import World
from ssdet.train.plan import plan_of_snippets
from ssdet.train.pseudo_labels import ramp_up
from ssdet.train.semi_supervised import Labelled, semi_loss, supervised_loss
from ssdet.train.setup import add_sections
from ssdet.train.spot_data import SpotData
from ssdet.train.spot_losses import dice_score
from ssdet.train.teacher import build_teacher, decay_at, follow
from ssdet.train.weights import start_from

log = logging.getLogger(__name__)

REVISION = 1
STAGE = "train_spot"
SECTIONS = (*spot_data.SECTIONS, "losses", "validation", "train")


class Learner(nn.Module):
    """Student and teacher with their loss, so that processes share their gradients."""

    def __init__(
        self,
        student: Spot,
        unlabelled: Tensor,
        epoch: int,
        cfg: SpotTrain,
        losses: SpotLosses,
        seed: int,
    ) -> None:
        """Build.

        Args:
            student: is trained, but for its order head.
            unlabelled: features (N, inputs, T) of the videos without labels; N may
                be 0.
            epoch: steps in an epoch.
            cfg: the section of the stage.
            losses: the section of all losses.
            seed: start of all draws.
        """
        super().__init__()
        self.student = student
        self.student.order_head.requires_grad_(False)
        self.teacher = build_teacher(student)
        self.unlabelled, self.epoch = unlabelled, epoch
        self.cfg, self.losses, self.seed = cfg, losses, seed
        self.taught = -1  # the last step that the teacher has followed to

    def forward(self, batch: Item, step: int, slots: tuple[int, int]) -> Tensor:
        """Loss of one part of a step's labelled and unlabelled batch."""
        self.teacher.eval()
        if step != self.taught:
            average = self.cfg.teacher == "average"
            decay = decay_at(step, self.cfg.teacher_decay) if average else 0.0
            follow(self.teacher, self.student, decay)
            self.taught = step
        labelled = Labelled(batch["features"], batch["classes"], batch["mask"])
        weight = ramp_up(
            step // self.epoch, self.cfg.ramp_epochs, self.cfg.pseudo_weight
        )
        return semi_loss(
            self.student,
            self.teacher,
            labelled,
            self._unlabelled(step, slots, labelled.features.device),
            weight,
            self.cfg,
            self.losses,
            generator(self.seed, STAGE, "views", step, *slots),
        ).total

    def _unlabelled(
        self, step: int, slots: tuple[int, int], device: torch.device
    ) -> Tensor | None:
        """This part's share of the step's videos without labels."""
        if not len(self.unlabelled):
            return None
        shape = Shape(self.cfg.unlabelled_batch_size, 1, 1, 1)
        keys = (self.seed, STAGE, "unlabelled")
        order = StepSampler(
            len(self.unlabelled), lambda step: shape, step, step + 1, keys
        )
        numbers = [number for _, _, number, _ in next(iter(order))]
        return self.unlabelled[numbers[slots[0] :: slots[1]]].to(device)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.train.spot")
    spot_data.add_spot_arguments(parser)
    add_sections(parser, SECTIONS)
    parser.add_argument("--init", default="", help="of pretrain_spot; empty: random")
    parser.add_argument(
        "--labelled", type=int, required=True, help="%% of the videos with labels"
    )
    parser.add_argument("--split-seed", type=int, required=True)
    parser.add_argument("--split-file", default="", help="published draw")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, train, write one checkpoint."""
    args = arguments().parse_args(argv)
    cfg = SpotTrain.model_validate_json(args.train)
    size = SpotNetwork.model_validate_json(args.network)
    losses = SpotLosses.model_validate_json(args.losses)
    fraction = ValidationConfig.model_validate_json(args.validation).fraction
    with distributed.session(args.device) as world:
        data = spot_data.open_snippets(args, "training")
        this = spot_data.begin_spot(
            STAGE,
            REVISION,
            SECTIONS,
            args,
            world,
            data,
            {"init": args.init, "split-file": args.split_file},
            labelled=str(args.labelled),
            split_seed=str(args.split_seed),
        )
        labelled, unlabelled = split_videos(args, data)
        kept, held = spot_data.set_aside(data.videos, labelled, fraction, args.seed)
        spot_data.check_choice("spot.train", cfg.keep, held)
        log.info(
            "%d videos with labels, %d of them set aside, and %d without",
            len(labelled),
            len(held),
            len(unlabelled),
        )
        check_batches(cfg, world, args.accumulate)
        torch.manual_seed(args.seed)
        features, classes = data.videos.features, data.dataset.classes
        student = build_spot(size, features.shape[1], len(classes))
        if args.init:
            start_from(student, load_initial(Path(args.init)), (), args.init)
        epoch = max(
            -(-len(kept) // cfg.batch_size),
            -(-len(unlabelled) // cfg.unlabelled_batch_size),
        )
        weights = loop.train(
            this,
            Learner(student, features[unlabelled], epoch, cfg, losses, args.seed),
            cfg,
            plan_of_snippets(cfg, epoch, len(kept)),
            Clips(partial(labelled_item, data, size, kept), (args.seed, STAGE)),
            lambda network, batch, step, slots: network(batch, step, slots),
            partial(validate, data, size, held, world),
            keep_best=cfg.keep == "best",
        )
        # ASSUME: the student is what detects, as published, where no teacher was
        this.finish(spot_data.weights_of("student", weights), classes)


def split_videos(
    args: argparse.Namespace, data: SpotData
) -> tuple[list[int], list[int]]:
    """Numbers of the videos that keep their labels, and of those that do not.

    Raises:
        StageError: the share is no percentage, or no video keeps its labels.
        ValueError: the published draw cannot be used.
    """
    if not 0 < args.labelled <= 100:
        raise StageError(
            f"{args.labelled} % of the labels cannot be used; results are"
            " spot/<1 to 100>/"
        )
    share = round(1 - args.labelled / 100, 9)
    records = data.dataset.of("training")
    if share == 0:
        without: frozenset[str] = frozenset()
    elif args.split_file:
        without = read_unlabelled(Path(args.split_file), records, share)
    else:
        without = draw_unlabelled(records, share, args.split_seed)
    numbers = range(len(data.videos.records))
    ids = [record.video_id for record in data.videos.records]
    labelled = [n for n in numbers if ids[n] not in without]
    if not labelled:
        raise StageError("no video with labels has features; see spot.labels")
    return labelled, [n for n in numbers if ids[n] in without]


def check_batches(cfg: SpotTrain, world: World, accumulate: int) -> None:
    """See that every part of a batch has videos without labels.

    Raises:
        StageError: it has not.
    """
    parts = world.size * accumulate
    if cfg.unlabelled_batch_size % parts:
        raise StageError(
            f"spot.train.unlabelled_batch_size ({cfg.unlabelled_batch_size}) cannot be"
            f" dealt to {world.size} processes in {accumulate} parts each; change it,"
            " resources.train.gpu or resources.accumulate"
        )


def labelled_item(
    data: SpotData,
    size: SpotNetwork,
    numbers: list[int],
    number: int,
    shape: Shape,
    source: object,
) -> Item:
    """A video with its targets: features (inputs, T), classes (T,), mask (T, T)."""
    video = numbers[number]
    blocks = data.videos.blocks(video, data.dataset.class_index, size.compat)
    targets = targets_of(blocks, len(data.dataset.classes), size.snippets, size.compat)
    return {"features": data.videos.features[video], **targets._asdict()}


@torch.no_grad()
def validate(
    data: SpotData,
    size: SpotNetwork,
    held: list[int],
    world: World,
    learner: nn.Module,
) -> dict[str, float]:
    """The student on labelled videos set aside.

    Returns:
        `val_loss`, supervised; `val_dice` of the masks; `val_map` of the snippets'
        classes, if any has one; to the leader.
    """
    assert isinstance(learner, Learner)
    if not (world.leads and held):
        return {}
    every = range(len(held))
    items = [labelled_item(data, size, held, n, Shape(1, 1, 1, 1), None) for n in every]
    batch = {k: torch.stack([i[k] for i in items]).to(world.device) for k in items[0]}
    out = learner.student(batch["features"])
    loss = supervised_loss(out, batch["classes"], batch["mask"], learner.losses)
    found = {
        "val_loss": loss.item(),
        "val_dice": dice_score(out.mask, batch["mask"]).mean().item(),
    }
    classes = len(data.dataset.classes)
    shown = torch.cat(
        [
            class_mask(
                data.videos.blocks(n, data.dataset.class_index, size.compat),
                classes,
                size.snippets,
            )[:-1]
            for n in held
        ],
        dim=1,
    ).T.numpy()  # (N T, K)
    if shown.any():
        chances = torch.softmax(out.logits.float(), 1)[:, :-1]
        scores = chances.transpose(1, 2).flatten(0, 1).cpu().numpy()
        precision = average_precision(np.ascontiguousarray(scores), shown)
        found["val_map"] = mean_over_present(precision)
    return found


if __name__ == "__main__":
    run(main)
