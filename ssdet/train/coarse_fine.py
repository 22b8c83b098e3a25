"""Train the coarse stream with fusion, on cached features of a frozen fine stream.

Source: Kahatapitiya and Ryoo, CVPR 2021 (arXiv:2103.01302); spec of Coarse-Fine,
sections 3.4, 6 and 7.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ssdet.config import (
    CoarseFineConfig,
    DatasetRecipe,
    ModelConfig,
    SamplingConfig,
    SpatialConfig,
    ValidationConfig,
)
from ssdet.data.annotations import VideoRecord
from ssdet.data.clips import Clips, Item, steps_per_epoch
from ssdet.data.feature_store import FeatureStore
from ssdet.data.sampling import feature_window
from ssdet.models import build_coarse_fine
from ssdet.models.x3d import FEATURES
from ssdet.provenance import now
from ssdet.stage import StageError, run
from ssdet.train import distributed, loop, setup
from ssdet.train.checkpoint import Rolling, Stateful, load_initial
from ssdet.train.detection_clips import DetectionClips, network_input
from ssdet.train.execution import autocast, channels_last, place
from ssdet.train.losses import (
    detection_loss,
    interpolate_in_time,
    resize_in_index,
)
from ssdet.train.optimizer import build_optimizer
from ssdet.train.schedule import rate_at
from ssdet.train.validation import validation_map
from ssdet.train.weights import start_from
from ssdet.train.whole_video import View, predict_coarse_fine

REVISION = 1
SECTIONS = (
    "dataset",
    "frames",
    "model",
    "spatial",
    "sampling",
    "validation",
    "coarse_fine",
)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.train.coarse_fine")
    setup.add_training_arguments(parser)
    setup.add_sections(parser, SECTIONS)
    parser.add_argument("--coarse", required=True, help="pretext of the coarse stream")
    parser.add_argument("--fine", required=True, help="pretext of the fine stream")
    parser.add_argument("--init", type=Path, required=True, help="pretrained trunk")
    parser.add_argument("--features-dir", type=Path, required=True)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, train, write one checkpoint."""
    args = arguments().parse_args(argv)
    started = now()
    cfg = CoarseFineConfig.model_validate_json(args.coarse_fine)
    sampling = SamplingConfig.model_validate_json(args.sampling)
    spatial = SpatialConfig.model_validate_json(args.spatial)
    recipe = DatasetRecipe.model_validate_json(args.dataset)
    parents = {
        "inventory": args.inventory,
        "training": Path(args.training),
        "init": args.init,
    }
    setup.check_parents(parents)
    with distributed.session(args.device) as world:
        videos = setup.open_videos(args, "training")
        names = setup.shards_of(videos.dataset, args.frames, "training")
        features = FeatureStore(args.features_dir, names)
        features.require(stride=sampling.stride, classes=videos.dataset.classes)
        job = setup.job_of(
            args,
            REVISION,
            SECTIONS,
            parents,
            videos,
            world,
            coarse=args.coarse,
            fine=args.fine,
            fine_sha256=features.attributes["checkpoint_sha256"],
            features_made=setup.identity(features),
        )
        fraction = ValidationConfig.model_validate_json(args.validation).fraction
        records, held = setup.hold_out(videos.of("training"), fraction, args.seed)
        torch.manual_seed(args.seed)
        model = build_coarse_fine(
            ModelConfig.model_validate_json(args.model),
            cfg,
            len(videos.dataset.classes),
        )
        start_from(model.trunk, load_initial(args.init), ("head.fc2.",), str(args.init))
        place(model, world.device)
        factor = cfg.fusion_rate_factor
        optimizer = build_optimizer(
            model, cfg, lambda name: factor if name.startswith("fusion.") else 1.0
        )
        check_choice(cfg, videos, held)
        best = Best(model)
        parts: dict[str, Stateful] = {
            "model": model,
            "optimizer": optimizer,
            "best": best,
        }
        rolling = Rolling(args.out, job, parts, world.rank)
        epoch = steps_per_epoch(len(records), cfg.batch_size, cfg.clips_per_video)
        steps = cfg.epochs * epoch
        keys = (args.seed, "coarse_fine")  # of every pair: all see the same clips
        source = TwoStreamClips(
            DetectionClips(videos, records, cfg.frames, sampling.stride, spatial),
            features,
            cfg,
        )
        clips = Clips(source.item, keys)
        view = View(videos.store, spatial, recipe.mean, recipe.std, world.device)
        loop.train(
            name="coarse_fine",
            seed=args.seed,
            model=model,
            optimizer=optimizer,
            rate=partial(rate_at, cfg, steps=steps, steps_per_unit=epoch),
            clips=clips,
            videos=len(records),
            batch_size=cfg.batch_size,
            clips_per_video=cfg.clips_per_video,
            loss_of=partial(
                two_stream_loss, world.wrap(model), recipe, cfg, sampling.stride
            ),
            steps=steps,
            rolling=rolling,
            world=world,
            workers=args.workers,
            checkpoint_seconds=args.checkpoint_seconds,
            validate=partial(
                validation_map,
                partial(predict_coarse_fine, model, view, features, cfg.compat),
                videos,
                held if world.leads else (),
                sampling.stride,
            ),
            validate_every=cfg.validate_every * epoch,
            validated=best.offer,
        )
        setup.finish(
            args,
            rolling,
            "coarse_fine",
            job,
            parents,
            best.weights if cfg.keep == "best" else model.state_dict(),
            videos.dataset.classes,
            started,
            world,
        )


@dataclass(frozen=True)
class TwoStreamClips:
    """Clips for the coarse stream, each with the fine features around it."""

    coarse: DetectionClips
    features: FeatureStore
    cfg: CoarseFineConfig

    def item(self, number: int, source: torch.Generator) -> Item:
        """Draw a clip.

        Returns:
            As `DetectionClips.clip`; one entry for each kind of feature,
            (C, T', 7, 7); feature_mask (T',), ones; start, the clip's first sampled
            frame as a row of these features.
        """
        item, first = self.coarse.clip(number, source)
        video_id = self.coarse.records[number].video_id
        rows, width = self.features.info(video_id).length, self.cfg.fine_frames
        start = first / self.coarse.stride
        window = feature_window(rows, start, self.cfg.frames, width)
        if self.cfg.compat == "reference":
            window, start = 0, (first + 1) // self.coarse.stride
        fine = self.features.read(video_id, window, min(rows, window + width), FEATURES)
        taken = next(iter(fine.values())).shape[1]
        return {
            **item,
            **fine,
            "feature_mask": torch.ones(taken),
            "start": torch.tensor(float(start - window)),
        }


def two_stream_loss(
    network: nn.Module,
    recipe: DatasetRecipe,
    cfg: CoarseFineConfig,
    stride: int,
    batch: Item,
    step: int,
) -> Tensor:
    """Mean of localisation and classification loss, at every source frame.

    Fixed: frame r is read at clip time r / stride. Reference: the output is resized to
    the frames by index, which lags by 4.5 of them (spec of Coarse-Fine, section 6).
    """
    video = channels_last(network_input(batch, recipe))
    fine = {key: batch[key].float() for key in FEATURES}
    with autocast(video.device):
        logits = network(video, fine, batch["feature_mask"], batch["start"])
    labels = batch["labels"].float()
    frames = labels.shape[2]
    if cfg.compat == "reference":
        logits = resize_in_index(logits, frames, align_corners=False)
    else:
        last = max(video.shape[2] - 1, 1)  # in sampled frames, as all times here
        outputs = torch.linspace(0, last, logits.shape[2], device=video.device)
        times = torch.arange(frames, device=video.device) / stride
        logits = interpolate_in_time(logits, outputs, times)  # (B, K, R)
    return detection_loss(logits, labels, batch["mask"])[0]


def check_choice(
    cfg: CoarseFineConfig, videos: setup.Videos, held: Sequence[VideoRecord]
) -> None:
    """See that there is something to choose the best weights on.

    Raises:
        StageError: `keep` is best, and no video set aside shows an action.
    """
    if cfg.keep == "best" and not any(record.segments for record in held):
        raise StageError(
            f"coarse_fine.keep is best, but none of the {len(held)} videos of"
            f" {videos.dataset.name} set aside for choosing shows an action; raise"
            " validation.fraction, or set coarse_fine.keep to last"
        )


class Best:
    """The weights with the highest validation mAP so far."""

    def __init__(self, model: nn.Module) -> None:
        """Begin with the weights as they are, below every score."""
        self.model = model
        self.score = -1.0
        self.step = 0
        self.weights: dict[str, Tensor] = _copy(model.state_dict())

    def offer(self, step: int, values: Mapping[str, float]) -> None:
        """Keep the model's weights if their validation mAP is the highest."""
        if values.get("val_map", -1.0) > self.score:
            self.score, self.step = values["val_map"], step
            self.weights = _copy(self.model.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """For the rolling state."""
        return {"score": self.score, "step": self.step, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From the rolling state."""
        self.score, self.step = state["score"], state["step"]
        self.weights = state["weights"]


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}


if __name__ == "__main__":
    run(main)
