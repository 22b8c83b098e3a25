"""Clip-rate logits of every test video of one model.

Source: spec of SSDet, section 4 (test); spec of Coarse-Fine, sections 3.4 and 10.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
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
from ssdet.train.detectors import Detector
from ssdet.train.inference import (
    Inference,
    inference_arguments,
    inference_block,
    prepare,
)
from ssdet.train.whole_video import (
    View,
    predict_both_with_grid,
    predict_fine,
    predict_slow,
    predict_slowfast,
    predict_with_grid,
)

REVISION = 2
SECTIONS = ("dataset", "frames", "spatial", "sampling", "predict")
Predictor = Callable[[VideoRecord, Timeline], tuple[Any, ...]]


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
    parents: dict[str, Parent] = {"frames": job.videos.store.as_parent()}
    features = None
    if job.checkpoint["stage"] == "coarse_fine":
        features = fine_features(args, job)
        parents |= {f"features/{path.name}": path for path in features.paths}
    predict = predictor(job.model, job.checkpoint, job.view, features, cfg.alignment)
    records = job.videos.of("testing")

    def rows() -> Iterator[Any]:
        with Progress(len(records), "predict", "video") as bar:
            for record in records:
                timeline = job.videos.timeline(record, job.sampling.stride)
                yield record.video_id, *predict(record, timeline)
                bar.advance(1)

    return Predicted(job.classes, job.view.device, parents, rows())


def predictor(
    model: Detector,
    checkpoint: Mapping[str, Any],
    view: View,
    features: FeatureStore | None,
    alignment: str,
) -> Predictor:
    """What gives the logits of a whole video, by the kind of detector.

    Args:
        model: the detector, in evaluation mode.
        checkpoint: of which it was rebuilt.
        view: how it sees the video.
        features: of the fine stream, for the stage coarse_fine; else None.
        alignment: see `predict_fine`.

    Returns:
        A function of a video and its clock: logits (T, K), times (T,) in seconds, and
        of detectors that choose frames, which.
    """
    stage = checkpoint["stage"]
    if isinstance(model, CoarseFine):
        compat = checkpoint["config"][stage]["compat"]
        return partial(predict_with_grid, view, features, compat, model)
    if isinstance(model, EndToEnd):
        compat = checkpoint["config"][stage]["compat"]
        return partial(predict_both_with_grid, view, compat, model)
    if isinstance(model, SlowFast):
        return partial(predict_slowfast, view, model)
    if stage == "slow":
        return partial(predict_slow, view, model)
    return partial(predict_fine, view, model, alignment=alignment)


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
