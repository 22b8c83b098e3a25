"""The stage `strips`: what each augmentation does, on two clips that are trained on.

One SVG, the same bytes for the same input: a row of frames for each augmentation, and
under it the weight of each label in each frame.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ssdet.augment import policy
from ssdet.augment.cropped_frames import read_centre
from ssdet.augment.cutmix import ViewDraw
from ssdet.augment.freeze import FreezeDraw
from ssdet.augment.pairs import PairDraw
from ssdet.augment.soft_labels import SoftLabels
from ssdet.augment.spatial import normalise
from ssdet.config import AugmentConfig, DatasetRecipe
from ssdet.data.annotations import VideoRecord
from ssdet.data.clip_sampling import validation_windows
from ssdet.files import write_text
from ssdet.report.strip_figure import Strip, strip_figure
from ssdet.stage import StageError
from ssdet.train.pretrain import check_single_labels
from ssdet.train.setup import Videos, add_data_arguments, open_videos

REVISION = 1
SWAP = torch.tensor([1, 0])
NOTHING = policy.Draws(None, None, None, None)

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.report.strips")
    add_data_arguments(parser)
    parser.add_argument("--augment", required=True, help="config section, JSON")
    parser.add_argument("--samples", type=int, required=True, help="frames of a clip")
    parser.add_argument("--stride", type=int, required=True, help="frames between them")
    parser.add_argument("--crop", type=int, required=True, help="side, pixels")
    parser.add_argument("--out", type=Path, required=True, help="SVG")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, draw."""
    args = arguments().parse_args(argv)
    recipe = DatasetRecipe.model_validate_json(args.dataset)
    config = AugmentConfig.model_validate_json(args.augment)
    videos = open_videos(args, "training")
    check_single_labels(videos)
    records = choose_clips(videos)
    clips = torch.stack(
        [
            _clip(videos, record, args.samples, args.stride, args.crop)
            for record in records
        ]
    )
    names = tuple(record.segments[0].label for record in records)
    classes = torch.tensor([videos.dataset.class_index[name] for name in names])
    video = normalise(clips, recipe.mean, recipe.std)  # (2, 3, T, crop, crop)
    strips = []
    for title, draws in fixed_draws(args.samples).items():
        mixed, soft = policy.apply(video, classes, draws, config)
        shown = 1 if title == "partner" else 0
        strips.append(
            Strip(
                title,
                pixels(mixed[shown], recipe.mean, recipe.std),
                weights(soft, shown, classes, config),
            )
        )
    write_text(args.out, strip_figure(strips, ("background", *names)))
    log.info("%s and %s augmented in %s", *(r.video_id for r in records), args.out)


def choose_clips(videos: Videos) -> tuple[VideoRecord, VideoRecord]:
    """The first clip of the training split, and the first one of another class.

    Raises:
        StageError: all clips are of one class.
    """
    first, *rest = videos.of("training")
    for other in rest:
        if other.segments[0].label != first.segments[0].label:
            return first, other
    raise StageError(
        f"{videos.dataset.name}: all clips of split training that have frames are of"
        f" class {first.segments[0].label}; two classes are needed to show a mixture"
    )


def fixed_draws(frames: int) -> dict[str, policy.Draws]:
    """An example of each augmentation, the same each time.

    Freeze holds a frame from the first quarter on, for 3/8 of the clip. The pairs see
    the first 5/8 of the clip, and the last 5/8 of its partner.

    Args:
        frames: T.
    """
    held = FreezeDraw(
        torch.full((2, 1), frames // 4), torch.full((2, 1), max(1, 3 * frames // 8))
    )
    seen = max(1, 5 * frames // 8)
    start = torch.tensor([[0, 0], [frames - seen, frames - seen]])
    pair = PairDraw(SWAP, start, torch.full((2, 2), seen))
    view = ViewDraw(SWAP, torch.ones(2, dtype=torch.bool))
    return {
        "clip": NOTHING,
        "partner": NOTHING,
        "freeze": policy.Draws(held, None, None, None),
        "mixup": policy.Draws(None, pair, None, None),
        "cutmix, window": policy.Draws(None, None, pair, None),
        "cutmix, view": policy.Draws(None, None, None, view),
    }


def weights(
    soft: SoftLabels, clip: int, classes: Tensor, config: AugmentConfig
) -> Tensor:
    """Weight of background, the clip's class and its partner's in each frame, (3, T).

    Args:
        soft: of the batch.
        clip: number in the batch.
        classes: (2,), from 0, background not counted.
        config: says whether background is a class.
    """
    offset = policy.class_offset(config)
    outputs = [0 if offset else -1, *(classes + offset).tolist()]
    labels, shares = soft.labels[:, clip], soft.weights[:, clip]  # (M, T)
    return torch.stack([(shares * (labels == output)).sum(0) for output in outputs])


def pixels(video: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Undo `normalise`: (3, T, H, W) floating point to uint8."""
    shape = (3, 1, 1, 1)
    scaled = video * torch.tensor(std).view(shape) + torch.tensor(mean).view(shape)
    return (scaled * 255).round().clamp(0, 255).to(torch.uint8)


def _clip(
    videos: Videos, record: VideoRecord, samples: int, stride: int, crop: int
) -> Tensor:
    total = videos.store.info(record.video_id).frames
    frames = validation_windows(total, samples, stride)[0]
    return read_centre(videos.store, record.video_id, frames, crop)


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
