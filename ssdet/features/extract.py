"""Cache what a fine-tuned detector sees: features and logits of whole videos.

Source: spec of Coarse-Fine, sections 3.2 and 3.3.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import torch

from ssdet.config import (
    DatasetRecipe,
    FeaturesConfig,
    FramesConfig,
    SamplingConfig,
    SpatialConfig,
)
from ssdet.data.annotations import VideoRecord
from ssdet.data.feature_store import VideoFeatures, write_features
from ssdet.data.shards import ids_of_shard
from ssdet.files import sha256
from ssdet.models import CoarseFine, X3DDetector
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
from ssdet.train.execution import autocast, channels_last
from ssdet.train.whole_video import View

REVISION = 2
SECTIONS = ("dataset", "frames", "spatial", "sampling", "features")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.features.extract")
    setup.add_data_arguments(parser)
    setup.add_sections(parser, SECTIONS)
    parser.add_argument("--shard", type=int, required=True)
    parser.add_argument("--split", choices=("training", "testing"), required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    add_device_argument(parser)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, run the detector over one shard, write its features."""
    args = arguments().parse_args(argv)
    started = now()
    cfg = FeaturesConfig.model_validate_json(args.features)
    sampling = SamplingConfig.model_validate_json(args.sampling)
    spatial = SpatialConfig.model_validate_json(args.spatial)
    recipe = DatasetRecipe.model_validate_json(args.dataset)
    device = choose_device(args.device)
    videos = setup.open_videos(args, args.split)
    classes = videos.dataset.classes
    same = {name: getattr(args, name) for name in ("dataset", "spatial", "sampling")}
    model, checkpoint = load_detector(args.checkpoint, classes, same, device)
    if isinstance(model, CoarseFine):
        raise StageError(
            f"{args.checkpoint} is a two-stream model; features come from a single"
            " stream, the stage train_fine"
        )
    view = View(videos.store, spatial, recipe.mean, recipe.std, device)
    records = shard_records(videos, args)
    rows = sum(videos.timeline(r, sampling.stride).rows for r in records)
    write_features(
        args.out,
        extract(model, view, videos, records, sampling.stride, cfg.pool),
        rows,
        {
            "dataset": args.name,
            "revision": REVISION,
            "fine_id": checkpoint["config"]["pretext"],
            "checkpoint_sha256": sha256(args.checkpoint),
            "classes": list(classes),
            "stride": sampling.stride,
            "first_frame": 1,
            "fps": recipe.fps or "native",
            "crop": spatial.crop,
            "view": "center",
            "mean": list(recipe.mean),
            "std": list(recipe.std),
            "pool": cfg.pool,
            "dtype": cfg.dtype,
            "split": args.split,
            "shard": args.shard,
        },
        cfg.dtype,
        cfg.compression,
        lambda: block(
            "extract_features",
            REVISION,
            {name: json.loads(getattr(args, name)) for name in SECTIONS},
            {"checkpoint": args.checkpoint, "inventory": args.inventory},
            started,
            device_name(device),
            int(device.type == "cuda"),
        ),
    )


def shard_records(videos: setup.Videos, args: argparse.Namespace) -> list[VideoRecord]:
    """The usable videos of the split that lie in the shard."""
    shard_videos = FramesConfig.model_validate_json(args.frames).shard_videos
    everything = [record.video_id for record in videos.dataset.records]
    inside = set(ids_of_shard(everything, args.shard, shard_videos))
    return [
        record
        for record in videos.dataset.of(args.split)
        if record.video_id in inside and record.video_id not in videos.lost
    ]


def extract(
    model: X3DDetector,
    view: View,
    videos: setup.Videos,
    records: list[VideoRecord],
    stride: int,
    pool: int,
) -> Iterator[VideoFeatures]:
    """Features of each video, in one pass over all its sampled frames."""
    with Progress(len(records), "extract_features", "video") as bar:
        for record in records:
            timeline = videos.timeline(record, stride)
            video = channels_last(view.read(record.video_id, timeline, timeline.rows))
            with torch.inference_mode(), autocast(view.device):
                maps, logits = model.features_and_logits(video, pool)
            yield VideoFeatures(
                record.video_id,
                {key: value[0].float().transpose(0, 1) for key, value in maps.items()},
                logits[0].float().T,
                timeline.frames,
                timeline.duration_s,
            )
            bar.advance(1)


if __name__ == "__main__":
    run(main)
