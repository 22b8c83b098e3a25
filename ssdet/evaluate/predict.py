"""Clip-rate logits of every test video of one model.

Source: spec of SSDet, section 4 (test); spec of Coarse-Fine, sections 3.4 and 10.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ssdet.config import (
    DatasetRecipe,
    PredictConfig,
    SamplingConfig,
    SpatialConfig,
)
from ssdet.data.feature_store import FeatureStore
from ssdet.data.predictions import write_predictions
from ssdet.files import sha256
from ssdet.models import CoarseFine
from ssdet.progress import Progress
from ssdet.provenance import block, now
from ssdet.stage import (
    StageError,
    add_device_argument,
    choose_device,
    device_name,
    run,
)
from ssdet.train import setup
from ssdet.train.detectors import load_detector
from ssdet.train.validation import Predictor
from ssdet.train.whole_video import View, predict_coarse_fine, predict_fine

REVISION = 1
SECTIONS = ("dataset", "frames", "spatial", "sampling", "predict")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.evaluate.predict")
    setup.add_data_arguments(parser)
    setup.add_sections(parser, SECTIONS)
    parser.add_argument("--features-dir", default="", help="of a two-stream model")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--model-name", required=True)
    parser.add_argument("--out", type=Path, required=True)
    add_device_argument(parser)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, run the detector over the test videos, write their logits."""
    args = arguments().parse_args(argv)
    started = now()
    cfg = PredictConfig.model_validate_json(args.predict)
    sampling = SamplingConfig.model_validate_json(args.sampling)
    spatial = SpatialConfig.model_validate_json(args.spatial)
    recipe = DatasetRecipe.model_validate_json(args.dataset)
    device = choose_device(args.device)
    videos = setup.open_videos(args, "testing")
    classes = videos.dataset.classes
    model, checkpoint = load_detector(
        args.checkpoint,
        classes,
        {name: getattr(args, name) for name in ("dataset", "spatial", "sampling")},
        device,
    )
    view = View(videos.store, spatial, recipe.mean, recipe.std, device)
    parents = {"checkpoint": args.checkpoint, "inventory": args.inventory}
    predict: Predictor
    if isinstance(model, CoarseFine):
        if not args.features_dir:
            raise StageError(
                f"{args.checkpoint} is a two-stream model: give the features of its"
                " fine stream with --features-dir"
            )
        names = setup.shards_of(videos.dataset, args.frames, "testing")
        features = FeatureStore(Path(args.features_dir), names)
        features.require(
            stride=sampling.stride,
            classes=classes,
            checkpoint_sha256=checkpoint["config"]["fine_sha256"],
        )
        parents |= {f"features/{path.name}": path for path in features.paths}
        compat = checkpoint["config"]["coarse_fine"]["compat"]
        predict = partial(predict_coarse_fine, view, features, compat, model)
    else:
        predict = partial(predict_fine, view, model, alignment=cfg.alignment)
    records = videos.of("testing")

    def predicted() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        with Progress(len(records), "predict", "video") as bar:
            for record in records:
                timeline = videos.timeline(record, sampling.stride)
                yield record.video_id, *predict(record, timeline)
                bar.advance(1)

    write_predictions(
        args.out,
        predicted(),
        model=args.model_name,
        dataset=args.name,
        classes=classes,
        checkpoint_sha256=sha256(args.checkpoint),
        provenance=lambda: block(
            "predict",
            REVISION,
            {name: json.loads(getattr(args, name)) for name in SECTIONS},
            parents,
            started,
            device_name(device),
            int(device.type == "cuda"),
        ),
    )


if __name__ == "__main__":
    run(main)
