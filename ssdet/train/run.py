"""One run of a training stage: its command line, what it computes, how it ends."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor

from ssdet.data.feature_store import FeatureStore
from ssdet.data.frame_store import FrameStore
from ssdet.files import sha256
from ssdet.provenance import Moment, Parent, block, label_files, now
from ssdet.stage import StageError, add_device_argument, device_name
from ssdet.train.checkpoint import finish_checkpoint, metrics_path
from ssdet.train.distributed import World
from ssdet.train.execution import PRECISIONS
from ssdet.train.metrics_log import timing
from ssdet.train.setup import Videos, add_data_arguments

log = logging.getLogger(__name__)

# Parts of a job that its checkpoint keeps elsewhere.
NOT_CONFIG = ("revision", "parents", "classes")
# Parents that are no checkpoints.
FILES = ("inventory", "training", "split_file")


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every training stage takes that reads videos."""
    add_data_arguments(parser)
    add_run_arguments(parser)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every training stage takes."""
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--checkpoint-seconds", type=float, default=300.0)
    parser.add_argument("--accumulate", type=int, default=1, help="parts of a batch")
    parser.add_argument("--activation-checkpointing", action="store_true")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--tensorboard", action="store_true")
    add_device_argument(parser)


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        stage: its name.
        args: its command line, with that of `add_training_arguments`.
        world: this process among the run's.
        job: what it computes; a state of another job is not continued.
        parents: the files it starts from, by name.
        also: what else it reads, for the record: the label files, and folders that are
            too large to hash.
        started: when.
    """

    stage: str
    args: argparse.Namespace
    world: World
    job: Mapping[str, Any]
    parents: Mapping[str, Path]
    also: Mapping[str, Parent]
    started: Moment

    @property
    def seed(self) -> int:
        """Start of all its draws."""
        return int(self.args.seed)

    def finish(
        self, weights: Mapping[str, Tensor], classes: Sequence[str], **more: Any
    ) -> None:
        """Write the checkpoint (nothing volatile in it) and the record of the run.

        Args:
            weights: of the trained network, for evaluation.
            classes: names of its outputs.
            more: what else the checkpoint is to hold.
        """
        if not self.world.leads:
            return
        revision = self.job["revision"]
        config = {k: value for k, value in self.job.items() if k not in NOT_CONFIG}
        checkpoint = {
            "stage": self.stage,
            "revision": revision,
            "config": config,
            "parents": self.job["parents"],
            "classes": list(classes),
            "weights": dict(weights),
            **more,
        }
        gpus = self.world.size if self.world.device.type == "cuda" else 0
        record = block(
            self.stage,
            revision,
            config,
            {**self.also, **self.parents},
            self.started,
            device_name(self.world.device),
            gpus,
        )
        spent = timing(metrics_path(self.args.out))
        log.info(
            "%s: %d steps took %.0f s, %.1f %% of it waiting for data",
            self.stage,
            spent["steps"],
            spent["steps_s"],
            100 * spent["data_wait_share"],
        )
        finish_checkpoint(self.args.out, checkpoint, record, {"timing": spent})


def begin(
    stage: str,
    revision: int,
    sections: Sequence[str],
    args: argparse.Namespace,
    world: World,
    videos: Videos,
    starts: Sequence[str] = ("init",),
    also: Mapping[str, Parent] = MappingProxyType({}),
    **more: str | int,
) -> Run:
    """Say what a run computes: nothing of where files lie or how fast it goes.

    Args:
        stage: its name.
        revision: of the stage.
        sections: the config sections that it reads, as arguments.
        args: its command line.
        world: this process among the run's.
        videos: the data set with its frames.
        starts: arguments that name the checkpoints it starts from, or are empty.
        also: folders it reads besides the frames, for the record.
        more: what else tells it from other runs.

    Raises:
        StageError: what it starts from is not there.
    """
    parents = {"inventory": args.inventory, "training": Path(args.training)}
    given = {name: str(getattr(args, name)) for name in starts}
    parents |= {name: Path(path) for name, path in given.items() if path}
    classes, made = videos.dataset.classes, identity(videos.store)
    return begin_from(
        parents,
        stage,
        revision,
        sections,
        args,
        world,
        classes,
        {"frames": videos.store.as_parent(), **also},
        frames_made=made,
        **more,
    )


def begin_from(
    parents: Mapping[str, Path],
    stage: str,
    revision: int,
    sections: Sequence[str],
    args: argparse.Namespace,
    world: World,
    classes: Sequence[str],
    also: Mapping[str, Parent],
    **more: Any,
) -> Run:
    """As `begin`, for a stage that may read no videos.

    Args:
        parents: the files that it starts from, by the name of their argument.
        stage: its name.
        revision: of the stage.
        sections: the config sections that it reads, as arguments.
        args: its command line.
        world: this process among the run's.
        classes: names of the network's outputs.
        also: folders it reads, for the record.
        more: what else tells it from other runs.

    Raises:
        StageError: what it starts from is not there.
    """
    for name, path in parents.items():
        if not path.is_file():
            what = "file" if name in FILES else "checkpoint"
            raise StageError(f"no {what} at {path} (--{name.replace('_', '-')})")
    job = {
        **{name: json.loads(getattr(args, name)) for name in sections},
        **more,
        "name": args.name,
        "seed": args.seed,
        "revision": revision,
        "parents": {name: sha256(path) for name, path in parents.items()},
        "classes": list(classes),
    }
    also = {**label_files(args, ("testing", "classes")), **also}
    return Run(stage, args, world, job, parents, also, now())


def identity(store: FrameStore | FeatureStore) -> str:
    """A hash of how the files of a store were made; they are too large to hash."""
    made: str = store.as_parent()["made"]
    return made
