"""Train a temporal head on cached features: the stage `train_head`.

Source: spec of the heads, sections 1 to 3; released code of Super-Events, TGM, PDAN and
MS-TCT.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch

from ssdet.config import (
    HeadConfig,
    MsTctConfig,
    OptimizerConfig,
    ValidationConfig,
    canonical_json,
)
from ssdet.data.clips import Clips, Shape, StepSampler, steps_per_epoch
from ssdet.files import sha256_text
from ssdet.models.heads import build_head
from ssdet.stage import StageError, run
from ssdet.train import distributed, loop
from ssdet.train.head_steps import HeadClips, head_loss, steps_of_batches
from ssdet.train.head_videos import (
    LabelledSteps,
    add_feature_arguments,
    open_steps,
)
from ssdet.train.head_watch import Watch
from ssdet.train.plan import Plan
from ssdet.train.run import add_run_arguments, begin_from
from ssdet.train.setup import add_sections, hold_out

REVISION = 1
SECTIONS = ("dataset", "frames", "validation", "head")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.train.head")
    add_feature_arguments(parser)
    add_run_arguments(parser)
    add_sections(parser, SECTIONS)
    parser.add_argument("--head-name", required=True, help="name of the head")
    parser.add_argument("--pretext", required=True, help="whose features they are")
    parser.add_argument("--features-dir", required=True, help="of the training videos")
    parser.add_argument(
        "--test-features-dir", default="", help="for head.watch_test alone"
    )
    parser.add_argument(
        "--external", action="store_true", help="features are <video>.npy of others"
    )
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, train, write one checkpoint."""
    args = arguments().parse_args(argv)
    cfg = HeadConfig.model_validate_json(args.head)
    with distributed.session(args.device, args.out) as world:
        dataset, videos = open_steps(
            args, cfg, "training", args.features_dir, args.external
        )
        fraction = ValidationConfig.model_validate_json(args.validation).fraction
        training, held = hold_out(tuple(videos.records), fraction, args.seed)
        check_choice(cfg, videos.of(held))
        this = begin_from(
            {"inventory": args.inventory, "training": Path(args.training)},
            "head",
            REVISION,
            SECTIONS,
            args,
            world,
            dataset.classes,
            {"features": videos.features.as_parent()},
            head_name=args.head_name,
            pretext=args.pretext,
            features_made=features_made(videos),
        )
        torch.manual_seed(args.seed)
        model = build_head(cfg.network, videos.features.width, len(dataset.classes))
        watch = Watch(cfg, videos.of(held), watched(args, cfg), world.device)
        clips = HeadClips(
            videos.of(training), cfg.window, isinstance(cfg.network, MsTctConfig)
        )
        plan = plan_of(cfg, len(training), watch)
        keys = (args.seed, "head")  # the same for every pretext
        batches = StepSampler(plan.videos, plan.shape, 0, plan.steps, keys)
        batch_steps = steps_of_batches(videos.of(training), cfg.window, batches)
        last = loop.train(
            this,
            model,
            optimizer_of(cfg),
            plan,
            Clips(clips.item, keys),
            partial(head_loss, cfg, batch_steps),
            watch.validate,
            state={"watch": watch},
        )
        epochs = watch.epochs(last)
        kept = epochs.get("selected", epochs["last"])
        this.finish(kept["weights"], dataset.classes, epochs=epochs)


def plan_of(cfg: HeadConfig, videos: int, watch: Watch) -> Plan:
    """Epochs of whole batches, at the rate that the validation allows."""
    training = cfg.training
    epoch = steps_per_epoch(videos, training.batch_size, 1)
    shape = Shape(training.batch_size, cfg.window or 0, 0, 1)
    return Plan(
        training.epochs * epoch,
        epoch,
        watch.plateau.rate,
        lambda step: shape,
        videos,
        1,
    )


def optimizer_of(cfg: HeadConfig) -> OptimizerConfig:
    """What the loop reads of an optimiser; its own schedule is not used."""
    training = cfg.training
    return OptimizerConfig(
        **cfg.optimizer.model_dump(),
        batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        schedule="step",
        drop_factor=training.drop_factor,
        frozen_norm=False,
        validate_every=1,
    )


def watched(args: argparse.Namespace, cfg: HeadConfig) -> LabelledSteps | None:
    """The test videos, if they are to be watched.

    Raises:
        StageError: their features are not given.
    """
    if not cfg.watch_test:
        return None
    if not args.test_features_dir:
        raise StageError(
            "head.watch_test is true: give the features of the test videos with"
            " --test-features-dir"
        )
    return open_steps(args, cfg, "testing", args.test_features_dir, args.external)[1]


def features_made(videos: LabelledSteps) -> str:
    """A hash of how the features were made, the same for both splits."""
    return sha256_text(canonical_json(videos.features.identity))


def check_choice(cfg: HeadConfig, held: LabelledSteps) -> None:
    """See that there is something to select an epoch on, where videos are set aside.

    Raises:
        StageError: the mAP is to select, and no video set aside shows an action.
    """
    shown = any(record.segments for record in held.records)
    if cfg.select_by == "map" and held.records and not shown:
        raise StageError(
            f"select_by is map, but none of the {len(held.records)} videos set aside"
            " for choosing shows an action; raise validation.fraction, or set select_by"
            " to loss"
        )


if __name__ == "__main__":
    run(main)
