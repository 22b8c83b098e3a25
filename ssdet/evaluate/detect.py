"""The stage `detect_spot`: segments of every test video.

Source: spec of SPOT, section 9.4.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ssdet.config import SpotDetect, SpotFeatures, SpotNetwork
from ssdet.data.snippet_sets import SnippetSet
from ssdet.evaluate.content_free import Guess, read_guesses
from ssdet.evaluate.detections import Detection, write_detections
from ssdet.evaluate.reference_decoding import reference_decode, reference_suppress
from ssdet.evaluate.segment_decoding import Candidate, decode
from ssdet.evaluate.soft_nms import suppress
from ssdet.models import build_spot
from ssdet.models.spot import Spot
from ssdet.provenance import Parent, block, label_files, now
from ssdet.stage import (
    StageError,
    add_device_argument,
    choose_device,
    device_name,
    run,
)
from ssdet.train import spot_data
from ssdet.train.checkpoint import load_checkpoint, rebuilding
from ssdet.train.setup import add_sections
from ssdet.train.spot_data import SpotData

REVISION = 1
SECTIONS = (*spot_data.SECTIONS, "detect")
BATCH = 64  # videos


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = spot_arguments("python -m ssdet.evaluate.detect", SECTIONS)
    parser.add_argument("--external-scores", default="", help="of whole videos")
    return parser


def spot_arguments(program: str, sections: Sequence[str]) -> argparse.ArgumentParser:
    """The command line of a stage that runs a trained SPOT.

    Args:
        program: as it is called.
        sections: config sections that it takes.
    """
    parser = argparse.ArgumentParser(prog=program)
    spot_data.add_snippet_arguments(parser)
    add_sections(parser, sections)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    add_device_argument(parser)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, look at the test videos, write their segments."""
    args = arguments().parse_args(argv)
    started = now()
    cfg = SpotDetect.model_validate_json(args.detect)
    device = choose_device(args.device)
    data = spot_data.open_snippets(args, "testing")
    classes = data.dataset.classes
    network = load_spot(args, data).to(device)
    external: Mapping[str, Guess] = {}
    parents: dict[str, Parent] = {"checkpoint": args.checkpoint, **label_files(args)}
    parents |= data.parents(args)
    if args.external_scores:
        external = read_guesses(Path(args.external_scores), classes)
        parents["external_scores"] = Path(args.external_scores)
    raw: dict[str, list[Candidate]] = {r.video_id: [] for r in data.videos.records}
    for first in range(0, len(data.videos.records), BATCH):
        with torch.no_grad():
            out = network(data.videos.features[first : first + BATCH].to(device))
        for number, (logits, mask) in enumerate(
            zip(out.logits.double().cpu(), out.mask.double().cpu(), strict=True), first
        ):
            video_id = data.videos.records[number].video_id
            guess = external.get(video_id.removeprefix("v_"))
            found = candidates_of(logits, mask, cfg, network.compat, guess)
            raw[video_id] += [in_seconds(c, data.videos, number) for c in found]
    detections = {
        video_id: [
            Detection(
                c.start,
                c.end,
                named_by(external.get(video_id.removeprefix("v_")), classes, c.label),
                c.score,
            )
            for c in suppressed(candidates, cfg, network.compat)
        ]
        for video_id, candidates in raw.items()
    }
    used = {
        "used": bool(external),
        "details": f"classes of whole videos, {args.external_scores}"
        if external
        else "none",
        "without_features": list(data.videos.missing),
        "provenance": block(
            "detect_spot",
            REVISION,
            {
                "name": args.name,
                **{name: json.loads(getattr(args, name)) for name in SECTIONS},
            },
            parents,
            started,
            device_name(device),
            int(device.type == "cuda"),
        ),
    }
    write_detections(args.out, detections, used)


def load_spot(args: argparse.Namespace, data: SpotData) -> Spot:
    """Rebuild the network of a checkpoint, in evaluation mode.

    Raises:
        StageError: the checkpoint is of another stage, class list or configuration.
    """
    checkpoint = load_checkpoint(args.checkpoint)
    classes, config = data.dataset.classes, checkpoint["config"]
    if checkpoint["stage"] != "train_spot":
        raise StageError(
            f"{args.checkpoint} is a checkpoint of {checkpoint['stage']}, which detects"
            " no segments; give one of train_spot"
        )
    if checkpoint["classes"] != list(classes):
        raise StageError(
            f"{args.checkpoint} has {len(checkpoint['classes'])} classes, the data set"
            f" {len(classes)}, or others; train it on this data set"
        )
    for name in ("network", "features"):
        if config[name] != json.loads(getattr(args, name)):
            raise StageError(
                f"{args.checkpoint} was trained with {name} ="
                f" {json.dumps(config[name])}, the configuration has"
                f" {getattr(args, name)}; train it again"
            )
    stored = config["features"]["source"] == "store"
    if stored and config["features_made"] != data.made:
        raise StageError(
            f"{args.checkpoint} was trained on features that were made otherwise than"
            f" those in {args.features_dir}; extract them again, then train it again"
        )
    size = SpotNetwork.model_validate(config["network"])
    width = SpotFeatures.model_validate(config["features"]).width
    network = build_spot(size, width, len(classes))
    with rebuilding(args.checkpoint):
        network.load_state_dict(checkpoint["weights"])
    return network.eval()


def candidates_of(
    logits: Tensor,
    mask: Tensor,
    cfg: SpotDetect,
    compat: str,
    guess: Guess | None,
) -> list[Candidate]:
    """Segments of an item, in shares of the time that it covers.

    Args:
        logits: (K + 1, T).
        mask: (T, T).
        cfg: thresholds and counts; `reference` has its own.
        compat: of the network.
        guess: label and score of the whole video, or None. Its score multiplies those
            of the segments, which it names: all are class 0 then.
    """
    x, m = np.asarray(logits), np.asarray(mask)
    if compat == "reference":
        given = None if guess is None else (0, guess[1])
        return [
            Candidate(c.start, c.end, c.score_a * c.score_b, c.label)
            for c in reference_decode(x, m, given)
        ]
    found = decode(x, m, cfg.top_snippets, cfg.mask_thresholds, cfg.min_snippets)
    if guess is None:
        return found
    best: dict[tuple[float, float], Candidate] = {}
    for c in found:  # best first
        named = Candidate(c.start, c.end, c.score * guess[1], 0)
        best.setdefault((c.start, c.end), named)
    return list(best.values())


def in_seconds(candidate: Candidate, videos: SnippetSet, number: int) -> Candidate:
    """A segment on the clock that its targets had, cut at the video's end."""
    begin, covered = videos.start_s[number], videos.covered_s[number]
    last = videos.records[number].duration_s or begin + covered
    start = min(begin + candidate.start * covered, last)
    end = min(begin + candidate.end * covered, last)
    return candidate._replace(start=start, end=end)


def suppressed(
    candidates: Sequence[Candidate], cfg: SpotDetect, compat: str
) -> list[Candidate]:
    """The segments of a whole video, those of all its windows together, best first."""
    real = [c for c in candidates if c.end > c.start]
    if compat == "reference":
        return reference_suppress(real)
    return suppress(real, cfg.sigma, cfg.max_per_video)


def named_by(guess: Guess | None, classes: Sequence[str], label: int) -> str:
    """The name of a segment's class."""
    return classes[label] if guess is None else guess[0]


if __name__ == "__main__":
    run(main)
