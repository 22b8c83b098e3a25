"""Train SPOT on videos with labels and videos without.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, section 9.
"""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ssdet.config import SpotLosses, SpotNetwork, SpotTrain, ValidationConfig
from ssdet.data.clips import Clips
from ssdet.data.label_splits import draw_unlabelled, read_unlabelled
from ssdet.models import build_spot
from ssdet.models.exchange import read_tensors
from ssdet.models.spot import Spot
from ssdet.models.spot_naming import import_reference, reference_name
from ssdet.stage import StageError, run
from ssdet.train import distributed, loop, spot_data
from ssdet.train.checkpoint import load_initial
from ssdet.train.distributed import World
from ssdet.train.plan import plan_of_snippets
from ssdet.train.setup import add_sections
from ssdet.train.spot_data import SpotData
from ssdet.train.spot_learner import STAGE, Learner
from ssdet.train.spot_validation import labelled_item, validate
from ssdet.train.weights import start_from

log = logging.getLogger(__name__)

REVISION = 1
SECTIONS = (*spot_data.SECTIONS, "losses", "validation", "train")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.train.spot")
    spot_data.add_spot_arguments(parser)
    add_sections(parser, SECTIONS)
    parser.add_argument("--init", default="", help="of pretrain_spot, or published")
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
    with distributed.session(args.device, args.out) as world:
        data = spot_data.open_snippets(args, "training")
        this = spot_data.begin_spot(
            STAGE,
            REVISION,
            SECTIONS,
            args,
            world,
            data,
            {"init": args.init, "split_file": args.split_file},
            labelled=str(args.labelled),
            split_seed=str(args.split_seed),
        )
        labelled, unlabelled = split_videos(args, data)
        kept, held = spot_data.set_aside(data.videos, labelled, fraction, args.seed)
        if data.videos.inside:
            kept, held = shown(data, size, kept), shown(data, size, held)
            if not kept:
                raise StageError(
                    "no window holds enough of an action; lower"
                    " spot.features.windows.inside"
                )
        spot_data.check_choice("spot.train", cfg.keep, held)
        used = unlabelled if cfg.unlabelled else []
        log.info(
            "%d items with labels, %d of them set aside, and %d without, %d of them"
            " trained on",
            len(labelled),
            len(held),
            len(unlabelled),
            len(used),
        )
        check_batches(cfg, world, args.accumulate)
        torch.manual_seed(args.seed)
        features, classes = data.videos.features, data.dataset.classes
        student = build_spot(size, features.shape[1], len(classes))
        if args.init:
            start_from(student, initial(Path(args.init), student), (), args.init)
        # of both sets, used or not: variants are trained equally long
        epoch = max(
            -(-len(kept) // cfg.batch_size),
            -(-len(unlabelled) // cfg.unlabelled_batch_size),
        )
        weights = loop.train(
            this,
            Learner(student, features[used], epoch, cfg, losses, args.seed),
            cfg,
            plan_of_snippets(cfg, epoch, len(kept)),
            Clips(partial(labelled_item, data, size, kept), (args.seed, STAGE)),
            lambda network, batch, step, slots: network(batch, step, slots),
            partial(validate, data, size, held, world),
            keep_best=cfg.keep == "best",
        )
        # ASSUME: the student is what detects, as published, where no teacher was
        this.finish(spot_data.weights_of("student", weights), classes)


def initial(path: Path, student: Spot) -> dict[str, Tensor]:
    """The weights of pretrain_spot, or those that were published, by our names.

    Raises:
        ValueError: the file is of neither kind, or does not fit.
    """
    tensors = read_tensors(path)
    if reference_name("class_branch.weight") in tensors:
        return import_reference(tensors, student)
    return load_initial(path)


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
        # published tables list the videos that have published features
        having = {r.video_id: r for r in data.videos.records}
        without = read_unlabelled(Path(args.split_file), list(having.values()), share)
    else:
        without = draw_unlabelled(records, share, args.split_seed)
    numbers = range(len(data.videos.records))
    ids = [record.video_id for record in data.videos.records]
    labelled = [n for n in numbers if ids[n] not in without]
    if not labelled:
        raise StageError("no video with labels has features; see spot.labels")
    return labelled, [n for n in numbers if ids[n] in without]


def shown(data: SpotData, size: SpotNetwork, numbers: list[int]) -> list[int]:
    """The items in which at least one action is shown."""
    index = data.dataset.class_index
    return [n for n in numbers if data.videos.blocks(n, index, size.compat)]


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


if __name__ == "__main__":
    run(main)
