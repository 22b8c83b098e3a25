"""The stage `evaluate_segments`: score detected segments, beside never looking.

Source: spec of SPOT, sections 2.3 and 10.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssdet.data.annotations import Dataset, add_dataset_arguments, read_dataset
from ssdet.data.inventory import read_inventory
from ssdet.evaluate.content_free import (
    Guess,
    most_frequent,
    read_guesses,
    whole_video,
)
from ssdet.evaluate.detections import read_file
from ssdet.evaluate.segment_ap import THRESHOLDS, segment_scores
from ssdet.evaluate.segment_file import score_detections
from ssdet.files import write_text
from ssdet.provenance import block, label_files, now
from ssdet.sealed_json import sealed
from ssdet.stage import run
from ssdet.train.spot_data import table_durations

REVISION = 1

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.evaluate.segments")
    add_dataset_arguments(parser)
    parser.add_argument("--inventory", default="", help="of its videos; may be empty")
    parser.add_argument("--features-table", default="", help="of its videos")
    parser.add_argument("--detections", type=Path, required=True)
    parser.add_argument("--external-scores", default="", help="of whole videos")
    parser.add_argument("--result-name", required=True, help="name of the result")
    parser.add_argument("--seed", type=int, required=True, help="of the detector")
    parser.add_argument("--out", type=Path, required=True)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, score the detections, write the result."""
    args = arguments().parse_args(argv)
    started = now()
    recipe = json.loads(args.dataset)
    dataset = read_dataset(
        args.name,
        recipe,
        Path(args.training),
        Path(args.testing),
        Path(args.classes) if args.classes else None,
        as_written=True,
    )
    durations = _durations(args, dataset)
    scores = score_detections(args.detections, dataset, durations)
    guesses: Mapping[str, Guess] | None = None
    if args.external_scores:
        guesses = read_guesses(Path(args.external_scores), dataset.classes)
    content_free = baselines(dataset, durations, guesses)
    told = read_file(args.detections)["external_data"]
    result = {
        "dataset": dataset.name,
        "name": args.result_name,
        "metrics": {**scores.metrics, "content_free": content_free},
        "videos": scores.covered.as_json(),
        "instances": scores.rows["segment_map"],
        "external_scores": told["details"],
        "members": [{"model": args.result_name, "path": str(args.detections)}],
        "seed": args.seed,
        "provenance": block(
            "evaluate_segments", REVISION, {"dataset": recipe}, _parents(args), started
        ),
    }
    text = json.dumps(sealed(result), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(args.out, text + "\n")
    log.info("%s", summary(result))


def baselines(
    dataset: Dataset,
    durations_s: Mapping[str, float],
    guesses: Mapping[str, Guess] | None,
) -> dict[str, dict[str, Any]]:
    """Average mAP of detectors that never look when something happens.

    Args:
        dataset: annotations, as written.
        durations_s: of the test videos; those not known have no segment.
        guesses: what another program says of whole videos, by id without v_.

    Returns:
        For each: `label`, where it has its label from; the average mAP at the
        thresholds of each data set; `videos`, how many it has a segment for.
        `most_frequent`: every video shows the class of most training videos.
        `annotated`: a class of the video, known from its labels.
        `external`: what another program says.
    """
    records = dataset.of("testing")
    truth = {record.video_id: record.segments for record in records}
    known = [video_id for video_id in truth if video_id in durations_s]
    common = most_frequent(dataset.of("training"))
    first = {v: (truth[v][0].label, 1.0) for v in known if truth[v]}
    told: dict[str, tuple[str, Mapping[str, Guess]]] = {
        "most_frequent": (common, {v: (common, 1.0) for v in known}),
        "annotated": ("the video's first annotated class", first),
    }
    if guesses is not None:
        of = {v: guesses.get(v.removeprefix("v_")) for v in known}
        named = {v: guess for v, guess in of.items() if guess is not None}
        told["external"] = ("another program's", named)
    result = {}
    for name, (label, of_video) in told.items():
        found = whole_video(durations_s, of_video)
        result[name] = {
            "label": label,
            "videos": len(found),
            **{
                key: float(segment_scores(truth, found, thresholds).map.mean())
                for key, thresholds in THRESHOLDS.items()
            },
        }
    return result


def summary(result: Mapping[str, Any]) -> str:
    """The result as a small table."""
    metrics, videos = result["metrics"], result["videos"]
    lines = [
        f"{result['name']} on {result['dataset']}, average segment mAP in percent"
        f" ({', '.join(THRESHOLDS)}):"
    ]
    rows = {
        "detector": {k: m["average_map"] for k, m in metrics["segment_map"].items()}
    }
    rows |= {f"blind, {k}": m for k, m in metrics["content_free"].items()}
    for name, values in rows.items():
        shown = "".join(f"{100 * values[key]:8.2f}" for key in THRESHOLDS)
        lines.append(f"  {name:<24}{shown}")
    lines.append(
        f"  {videos['evaluated']} of {videos['expected']} test videos; external labels:"
        f" {result['external_scores']}"
    )
    return "\n".join(lines)


def _durations(args: argparse.Namespace, dataset: Dataset) -> dict[str, float]:
    """Seconds of the test videos, by the annotation where it says so."""
    rows = read_inventory(Path(args.inventory)) if args.inventory else []
    seen = {row.video_id: row.duration_s for row in rows if row.frames}
    stated = {
        record.video_id: record.duration_s
        for record in dataset.of("testing")
        if record.duration_s is not None
    }
    return {**table_durations(args.features_table), **seen, **stated}


def _parents(args: argparse.Namespace) -> dict[str, Path]:
    parents = {"detections": args.detections, **label_files(args)}
    for name in ("inventory", "features_table", "external_scores"):
        if getattr(args, name):
            parents[name] = Path(getattr(args, name))
    return parents


if __name__ == "__main__":
    run(main)
