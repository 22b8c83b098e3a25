"""Clip-rate logits of every test video of one model.

Source: spec of SSDet, section 4 (test); spec of Coarse-Fine, sections 3.4 and 10.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ssdet.config import PredictConfig
from ssdet.data.annotations import VideoRecord
from ssdet.data.feature_store import FeatureStore
from ssdet.data.predictions import write_predictions
from ssdet.data.sampling import Timeline
from ssdet.evaluate.head_predictions import Predicted, head_predictions
from ssdet.files import sha256
from ssdet.models import CoarseFine, EndToEnd, SlowFast
from ssdet.progress import Progress
from ssdet.provenance import Parent, now
from ssdet.stage import StageError, run
from ssdet.train import setup
from ssdet.train.checkpoint import load_checkpoint
from ssdet.train.inference import (
    Inference,
    inference_arguments,
    inference_block,
    prepare,
)
from ssdet.train.whole_video import (
    predict_both_with_grid,
    predict_fine,
    predict_slow,
    predict_slowfast,
    predict_with_grid,
)

REVISION = 2
SECTIONS = ("dataset", "frames", "spatial", "sampling", "predict")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = inference_arguments("python -m ssdet.evaluate.predict", SECTIONS)
    parser.add_argument(
        "--features-dir", default="", help="of a two-stream model or a temporal head"
    )
    parser.add_argument(
        "--external", action="store_true", help="features are <video>.npy of others"
    )
    parser.add_argument("--epoch", default="", help="of a temporal head: which one")
    parser.add_argument("--model-name", required=True)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, run the model over the test videos, write their logits."""
    args = arguments().parse_args(argv)
    started = now()
    if load_checkpoint(args.checkpoint)["stage"] == "head":
        found = head_predictions(args)
    else:
        found = detector_predictions(args)
    write_predictions(
        args.out,
        found.rows,
        model=args.model_name,
        dataset=args.name,
        classes=found.classes,
        checkpoint_sha256=sha256(args.checkpoint),
        provenance=partial(
            inference_block,
            "predict",
            REVISION,
            SECTIONS,
            args,
            found.device,
            started,
            found.parents,
        ),
    )


def detector_predictions(args: argparse.Namespace) -> Predicted:
    """Run a detector; nothing is computed before the rows are read.

    Raises:
        StageError: the checkpoint does not fit, or features are missing.
        ValueError: features, frames or the inventory cannot be read.
    """
    cfg = PredictConfig.model_validate_json(args.predict)
    job = prepare(args, "testing")
    stage = job.checkpoint["stage"]
    predict: Callable[[VideoRecord, Timeline], tuple[Any, ...]]
    parents: dict[str, Parent] = {"frames": job.videos.store.as_parent()}
    if isinstance(job.model, CoarseFine):
        features = None if stage == "coarse" else fine_features(args, job)
        if features is not None:
            parents |= {f"features/{path.name}": path for path in features.paths}
        compat = job.checkpoint["config"][stage]["compat"]
        predict = partial(predict_with_grid, job.view, features, compat, job.model)
    elif isinstance(job.model, EndToEnd):
        compat = job.checkpoint["config"][stage]["compat"]
        predict = partial(predict_both_with_grid, job.view, compat, job.model)
    elif isinstance(job.model, SlowFast):
        predict = partial(predict_slowfast, job.view, job.model)
    elif stage == "slow":
        predict = partial(predict_slow, job.view, job.model)
    else:
        predict = partial(predict_fine, job.view, job.model, alignment=cfg.alignment)
    records = job.videos.of("testing")

    def rows() -> Iterator[Any]:
        with Progress(len(records), "predict", "video") as bar:
            for record in records:
                timeline = job.videos.timeline(record, job.sampling.stride)
                yield record.video_id, *predict(record, timeline)
                bar.advance(1)

    return Predicted(job.classes, job.view.device, parents, rows())


def fine_features(args: argparse.Namespace, job: Inference) -> FeatureStore:
    """The features that a two-stream model reads: those of its own fine stream.

    Raises:
        StageError: none are named.
        ValueError: they are of another stride, class list or checkpoint.
    """
    if not args.features_dir:
        raise StageError(
            f"{args.checkpoint} is a two-stream model: give the features of its"
            " fine stream with --features-dir"
        )
    names = setup.shards_of(job.videos.dataset, args.frames, "testing")
    features = FeatureStore(args.features_dir, names)
    features.require(
        stride=job.sampling.stride,
        classes=job.classes,
        checkpoint_sha256=job.checkpoint["config"]["fine_sha256"],
    )
    return features


if __name__ == "__main__":
    run(main)
