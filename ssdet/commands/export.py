"""`ssdet export`: a single-stream detector as ONNX."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument("checkpoint", type=Path, help="of the stage fine")
    parser.add_argument("out", type=Path, help=".onnx")
    parser.add_argument("--frames", type=int, help="of every clip (else any number)")


def run(args: argparse.Namespace) -> int:
    """Export the detector that the arguments name."""
    return write_onnx(args.checkpoint, args.out, args.frames)


def write_onnx(path: Path, out: Path, frames: int | None) -> int:
    """Write the detector of a checkpoint as ONNX, with what its caller must know."""
    import torch

    from ssdet.files import sha256
    from ssdet.models import X3DDetector
    from ssdet.models.lateral import RATIO
    from ssdet.models.onnx_export import export_onnx
    from ssdet.train.checkpoint import load_checkpoint
    from ssdet.train.detectors import load_detector

    classes = load_checkpoint(path, "CHECKPOINT")["classes"]
    model, checkpoint = load_detector(path, classes, {}, torch.device("cpu"))
    if not isinstance(model, X3DDetector):
        raise ValueError(
            f"{path} is a checkpoint of {checkpoint['stage']}, which is more than one"
            " X3D: export a single-stream detector (a checkpoint of the stage fine or"
            " slow)"
        )
    config = checkpoint["config"]
    crop, stride = config["spatial"]["crop"], config["sampling"]["stride"]
    if checkpoint["stage"] == "slow":
        stride *= RATIO
    facts = {
        "format": "ssdet_detector",
        "version": "1",
        "input": "RGB, 255 is 1, minus mean, over std; the largest centred square,"
        " scaled to crop; every stride-th frame",
        "classes": json.dumps(classes),
        "mean": json.dumps(config["dataset"]["mean"]),
        "std": json.dumps(config["dataset"]["std"]),
        "stride": str(stride),
        "crop": str(crop),
        "frames": "any" if frames is None else str(frames),
        "checkpoint_sha256": sha256(path),
    }
    difference = export_onnx(model, out, crop, frames, facts)
    length = "T" if frames is None else frames
    print(
        f"video (B, 3, {length}, {crop}, {crop}) to logits (B, {len(classes)},"
        f" {length}), at most {difference:.1g} from PyTorch's: {out}"
    )
    return 0
