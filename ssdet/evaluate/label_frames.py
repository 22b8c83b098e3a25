"""The stage `label_frames`: what SPOT says of training videos, as labels over time.

For pretraining on videos of several actions, where one label for the whole clip will
not do. ASSUME: the paper of SPOT trains no other network on its masks.
"""

from __future__ import annotations

import argparse
import json
import logging

import numpy as np
import numpy.typing as npt
import torch

from ssdet.config import SpotFrameLabels
from ssdet.data.frame_label_file import Labels, write_frame_labels
from ssdet.data.snippet_sets import SnippetSet
from ssdet.evaluate.detect import BATCH, load_spot, spot_arguments
from ssdet.evaluate.segment_decoding import probabilities, stretch_around
from ssdet.files import sha256
from ssdet.provenance import block, label_files, now
from ssdet.stage import choose_device, device_name, run
from ssdet.train import spot_data

REVISION = 1
SECTIONS = (*spot_data.SECTIONS, "frame_labels")

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    return spot_arguments("python -m ssdet.evaluate.label_frames", SECTIONS)


def main(argv: list[str] | None = None) -> None:
    """Read arguments, look at the training videos, write their labels."""
    args = arguments().parse_args(argv)
    started = now()
    cfg = SpotFrameLabels.model_validate_json(args.frame_labels)
    device = choose_device(args.device)
    data = spot_data.open_snippets(args, "training")
    network = load_spot(args, data).to(device)
    found: list[Labels] = []
    for features in data.videos.features.split(BATCH):
        with torch.no_grad():
            out = network(features.to(device))
        found += [
            snippet_labels(logits.double().cpu().numpy(), mask.cpu().numpy(), cfg)
            for logits, mask in zip(out.logits, out.mask, strict=True)
        ]
    videos = whole_videos(found, data.videos)
    write_frame_labels(
        args.out,
        videos,
        dataset=args.name,
        classes=data.dataset.classes,
        checkpoint_sha256=sha256(args.checkpoint),
        provenance=block(
            "label_frames",
            REVISION,
            {name: json.loads(getattr(args, name)) for name in SECTIONS},
            {
                "checkpoint": args.checkpoint,
                **label_files(args),
                **data.parents(args),
            },
            started,
            device_name(device),
            int(device.type == "cuda"),
        ),
    )
    shown = [labels.any(axis=1).mean() for labels, _ in videos.values()]
    log.info(
        "%d videos, %.0f %% of the time with an action; %d videos without features",
        len(videos),
        100 * float(np.mean(shown)),
        len(data.videos.missing),
    )


def snippet_labels(
    logits: npt.NDArray[np.floating],
    mask: npt.NDArray[np.floating],
    cfg: SpotFrameLabels,
) -> Labels:
    """What each snippet of an item surely shows; several classes may overlap.

    A snippet that is surely of a class gives it to the stretch around it in its mask,
    or to itself alone where its own mask leaves it out.

    Args:
        logits: (K + 1, T), the last row is background.
        mask: (T, T) in [0, 1], row by time.
        cfg: what counts as sure.

    Returns:
        (T, K), 0 or 1.
    """
    chances = probabilities(logits)  # (K + 1, T)
    classes, snippets = len(chances) - 1, chances.shape[1]
    labels = np.zeros((snippets, classes), dtype=np.uint8)
    best = chances.argmax(axis=0)
    for i in range(snippets):
        if best[i] == classes or chances[best[i], i] < cfg.sure_class:
            continue
        on = mask[i] >= cfg.sure_mask
        start, end = stretch_around(on, i) if on[i] else (i, i + 1)
        labels[start:end, best[i]] = 1
    return labels


def whole_videos(
    found: list[Labels], videos: SnippetSet
) -> dict[str, tuple[Labels, float]]:
    """Labels and seconds of a row of each video; windows of a video are joined.

    Args:
        found: (T, K) of each item.
        videos: the items; windows of a video lie whole rows apart.
    """
    joined: dict[str, tuple[Labels, float]] = {}
    for number, labels in enumerate(found):
        video_id = videos.records[number].video_id
        step_s = videos.covered_s[number] / len(labels)
        first = round(videos.start_s[number] / step_s)
        before = joined.get(video_id, (labels[:0], step_s))[0]
        length = max(len(before), first + len(labels))
        whole = np.zeros((length, labels.shape[1]), dtype=np.uint8)
        whole[: len(before)] = before
        whole[first : first + len(labels)] |= labels
        joined[video_id] = (whole, step_s)
    return joined


if __name__ == "__main__":
    run(main)
