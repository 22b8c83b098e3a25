"""`ssdet predict`: what a trained detector finds in video files."""

from __future__ import annotations

import argparse
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument("checkpoint", type=Path, help="of a detector")
    parser.add_argument("videos", type=Path, nargs="+", metavar="VIDEO", help="a file")
    parser.add_argument(
        "--segments",
        type=Path,
        metavar="CSV",
        help="write the segments that are found: video_id,start_s,end_s,label,score",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        help="probability that all of a segment reaches (default: 0.5)",
    )
    parser.add_argument(
        "--logits",
        type=Path,
        metavar="H5",
        help="write the logits over time, as `ssdet evaluate` reads them",
    )
    parser.add_argument(
        "--fine",
        type=Path,
        metavar="CHECKPOINT",
        help="of the fine stream of a Coarse-Fine detector (default: where the"
        " workflow keeps it)",
    )
    parser.add_argument(
        "--alignment",
        choices=("corners", "time"),
        default="corners",
        help="of single streams, as config key predict.alignment",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def run(args: argparse.Namespace) -> int:
    """Predict all videos, write what was asked for; 1 if some cannot be read."""
    import torch

    from ssdet.data.predictions import write_predictions
    from ssdet.evaluate.frame_segments import as_table, segments_above
    from ssdet.evaluate.new_videos import Unreadable, load_trained, predict_file
    from ssdet.evaluate.predict import REVISION
    from ssdet.files import sha256, write_text
    from ssdet.progress import Progress
    from ssdet.provenance import block, now
    from ssdet.stage import choose_device, device_name

    out = _see_arguments(args)
    started, device = now(), choose_device(args.device)
    trained = load_trained(args.checkpoint, args.fine, device)
    config, stage = trained.checkpoint["config"], trained.checkpoint["stage"]
    found, lost = {}, []  # segments of each video; files that cannot be read

    def rows() -> Iterator[tuple[Any, ...]]:
        out.parent.mkdir(parents=True, exist_ok=True)
        with Progress(len(args.videos), "predict", "video") as bar:
            for path in args.videos:
                one = predict_file(trained, path, args.alignment, out.parent)
                bar.advance(1)
                if isinstance(one, Unreadable):
                    lost.append(f"{one.path}: {one.reason}")
                    continue
                chances = torch.from_numpy(one.logits).sigmoid().numpy()
                found[path.stem] = segments_above(
                    chances,
                    one.times_s,
                    one.duration_s,
                    trained.classes,
                    args.threshold,
                )
                yield path.stem, one.logits, one.times_s, *one.grid
        if not found:
            raise ValueError("no video can be read: " + "; ".join(lost))

    def provenance() -> dict[str, Any]:
        sections = {name: config[name] for name in ("dataset", "frames", "sampling")}
        read = {path.stem: path for path in args.videos if path.stem in found}
        parents = {f"video/{video_id}": path for video_id, path in read.items()}
        parents["checkpoint"] = args.checkpoint
        name, gpus = device_name(device), int(device.type == "cuda")
        return block("predict", REVISION, sections, parents, started, name, gpus)

    if args.logits is None:
        deque(rows(), maxlen=0)
    else:
        write_predictions(
            args.logits,
            rows(),
            model=stage,
            dataset=config["name"],
            classes=trained.classes,
            checkpoint_sha256=sha256(args.checkpoint),
            provenance=provenance,
        )
    if args.segments is not None:
        write_text(args.segments, as_table(found))
    count = sum(map(len, found.values()))
    written = " and ".join(str(path) for path in (args.logits, args.segments) if path)
    print(f"{len(found)} videos, {count} segments: {written}")
    if lost:
        share = f"{len(lost)} of {len(args.videos)}"
        raise ValueError(f"{share} videos cannot be read: " + "; ".join(lost))
    return 0


def _see_arguments(args: argparse.Namespace) -> Path:
    """See that all can be done; returns one of the files that are to be written.

    Raises:
        ValueError: nothing is to be written, the threshold is no probability, files are
            missing, or two have the same name.
    """
    out = args.segments or args.logits
    if out is None:
        raise ValueError("nothing to write: give --segments CSV, --logits H5 or both")
    if not 0 <= args.threshold <= 1:
        raise ValueError(f"--threshold must be in [0, 1], got {args.threshold:g}")
    missing = [str(path) for path in args.videos if not path.is_file()]
    if missing:
        raise ValueError(f"no such file: {', '.join(missing)}")
    counts = Counter(path.stem for path in args.videos)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise ValueError(
            f"several files are named {', '.join(twice)}: a video is known by the name"
            " of its file without its ending; rename them, or give each call one"
        )
    return Path(out)
