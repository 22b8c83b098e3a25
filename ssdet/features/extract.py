"""Cache what a network sees: features and logits of whole videos.

The network is a single-stream detector, or one that is only pretrained.

Source: spec of Coarse-Fine, sections 3.2 and 3.3.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

import torch

from ssdet.config import FeaturesConfig, StoredFrames
from ssdet.data.annotations import VideoRecord
from ssdet.data.feature_store import VideoFeatures, write_features
from ssdet.data.sampling import Timeline
from ssdet.data.shards import ids_of_shard
from ssdet.files import sha256
from ssdet.models import X3DDetector
from ssdet.progress import Progress
from ssdet.provenance import now
from ssdet.stage import StageError, run
from ssdet.train import setup
from ssdet.train.detectors import PRETRAINED, STAGES
from ssdet.train.execution import autocast, channels_last
from ssdet.train.inference import inference_arguments, inference_block, prepare
from ssdet.train.whole_video import View

REVISION = 2
SECTIONS = ("dataset", "frames", "spatial", "sampling", "features")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = inference_arguments("python -m ssdet.features.extract", SECTIONS)
    parser.add_argument("--shard", type=int, required=True)
    parser.add_argument("--split", choices=("training", "testing"), required=True)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, run the detector over one shard, write its features."""
    args = arguments().parse_args(argv)
    started = now()
    cfg = FeaturesConfig.model_validate_json(args.features)
    job = prepare(args, args.split, (*STAGES, PRETRAINED))
    model, stage = job.model, job.checkpoint["stage"]
    if not isinstance(model, X3DDetector) or stage not in ("fine", PRETRAINED):
        raise StageError(
            f"{args.checkpoint} is a checkpoint of {stage}; features come from a single"
            " stream on all sampled frames, the stages train_fine and pretrain"
        )
    stride = job.sampling.stride
    records = shard_records(job.videos, args)
    rows = sum(job.videos.timeline(r, stride).rows for r in records)
    write_features(
        args.out,
        extract(model, job.view, job.videos, records, stride, cfg.pool),
        rows,
        {
            "dataset": args.name,
            "revision": REVISION,
            "fine_id": job.checkpoint["config"]["pretext"],
            "checkpoint_sha256": sha256(args.checkpoint),
            "classes": list(job.checkpoint["classes"]),
            "stride": stride,
            "first_frame": 1,
            "fps": job.recipe.fps or "native",
            "crop": job.spatial.crop,
            "view": "center",
            "mean": list(job.recipe.mean),
            "std": list(job.recipe.std),
            "pool": cfg.pool,
            "dtype": cfg.dtype,
            "split": args.split,
            "shard": args.shard,
        },
        cfg.dtype,
        cfg.compression,
        partial(
            inference_block,
            "extract_features",
            REVISION,
            SECTIONS,
            args,
            job.view.device,
            started,
            {"frames": job.videos.store.as_parent()},
        ),
    )


def shard_records(videos: setup.Videos, args: argparse.Namespace) -> list[VideoRecord]:
    """The usable videos of the split that lie in the shard."""
    shard_videos = StoredFrames.model_validate_json(args.frames).shard_videos
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
    """Features of each video; only one is held in memory."""
    with Progress(len(records), "extract_features", "video") as bar:
        for record in records:
            timeline = videos.timeline(record, stride)
            yield features_of(model, view, record.video_id, timeline, pool)
            bar.advance(1)


def features_of(
    model: X3DDetector, view: View, video_id: str, timeline: Timeline, pool: int
) -> VideoFeatures:
    """Features of a video, as of one pass over all its sampled frames.

    Squeeze-excitation averages over the whole video, so clips or overlapping parts of
    it would give other features. Memory stays small nevertheless: `models/pieces.py`.
    """
    video = channels_last(view.read(video_id, timeline, timeline.rows))
    with torch.inference_mode(), autocast(view.device):
        maps, logits = model.features_and_logits(video, pool)
    return VideoFeatures(
        video_id,
        {key: value[0].float().transpose(0, 1) for key, value in maps.items()},
        logits[0].float().T,
        timeline.frames,
        timeline.duration_s,
    )


if __name__ == "__main__":
    run(main)
