"""The command `ssdet`: what one asks at a terminal, outside the workflow."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from importlib import metadata, util
from pathlib import Path
from typing import Any

# Package, what it is for, whether nothing works without it.
PACKAGES = (
    ("torch", "training and inference", True),
    ("torchvision", "JPEG decoding and crops", True),
    ("h5py", "frame shards, features, predictions", True),
    ("pydantic", "config.yaml", True),
    ("safetensors", "published weights", True),
    ("av", "reading video files: inventory, extract_frames, demo", False),
    ("snakemake", "the workflow", False),
    ("snakemake_executor_plugin_slurm", "--profile slurm", False),
    ("matplotlib", "figures of the report", False),
    ("rich", "progress bars", False),
    ("onnxscript", "ssdet export", False),
    ("onnxruntime", "ssdet export", False),
)
ENOUGH_DISK_GB = 5
NAMES = ("ours", "reference", "slowfast", "pytorchvideo")


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand; returns the exit status."""
    parser = argparse.ArgumentParser(prog="ssdet", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser("doctor", help="look at this machine, say what lacks")
    doctor.add_argument("--results", default=".", help="folder that results go to")
    convert = commands.add_parser("convert", help="X3D weights from and to others")
    convert.add_argument("source", type=Path, help="weights of any known program")
    convert.add_argument("out", type=Path, help=".safetensors for ours")
    convert.add_argument("--to", choices=NAMES, default="ours", help="whose names")
    export = commands.add_parser("export", help="a single-stream detector as ONNX")
    export.add_argument("checkpoint", type=Path, help="of the stage fine")
    export.add_argument("out", type=Path, help=".onnx")
    export.add_argument("--frames", type=int, help="of every clip (else any number)")
    args = parser.parse_args(argv)
    try:
        if args.command == "convert":
            return rename(args.source, args.out, args.to)
        if args.command == "export":
            return write_onnx(args.checkpoint, args.out, args.frames)
        return examine(args.results)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def rename(source: Path, out: Path, names: Any) -> int:
    """Write X3D weights under the names of another program, and say what was done."""
    from ssdet.models.exchange import read_weights, write_weights

    weights = read_weights(source)
    write_weights(out, weights, names, source)
    for theirs, ours in weights.renamed.items():
        print(f"{theirs:56} {ours:56} {tuple(weights.state[ours].shape)}")
    for name in weights.left_out:
        print(f"{name:56} left out")
    classes = len(weights.state["head.fc2.bias"])
    print(
        f"{len(weights.state)} tensors of {weights.preset}, {classes} classes, from"
        f" {weights.names} to {names}: {out}, manifest {out}.json"
    )
    return 0


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


def examine(results: str) -> int:
    """Print what of this machine matters; 1 if something necessary is missing."""
    good = sys.version_info >= (3, 11)
    _line(good, "python", f"{platform.python_version()} (needs 3.11 or newer)")
    for name, purpose, needed in PACKAGES:
        found = util.find_spec(name) is not None
        good = good and (found or not needed)
        text = _version(name) if found else f"not installed; for {purpose}"
        _line(found, name, text, needed)
    if util.find_spec("torch") is not None:
        _devices()
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    _line(True, "cores", f"{cores}, {memory:.0f} GiB memory")
    folder = os.path.abspath(results)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    free = shutil.disk_usage(folder).free / 1e9
    _line(free >= ENOUGH_DISK_GB, "disk", f"{free:.0f} GB free in {folder}", False)
    return 0 if good else 1


def _devices() -> None:
    import torch

    if not torch.cuda.is_available():
        _line(False, "gpu", "PyTorch sees none: stages run on the CPU", False)
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        memory = facts.total_memory / 2**30
        _line(True, "gpu", f"{facts.name}, {memory:.0f} GiB, CUDA {torch.version.cuda}")


def _version(name: str) -> str:
    try:
        return metadata.version(name.replace("_", "-"))
    except metadata.PackageNotFoundError:
        return "installed"


def _line(good: bool, name: str, text: str, needed: bool = True) -> None:
    mark = "ok" if good else "MISSING" if needed else "-"
    print(f"{mark:8}{name:32} {text}")


if __name__ == "__main__":
    sys.exit(main())
