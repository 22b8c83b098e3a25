"""The command `ssdet`: what one asks at a terminal, outside the workflow."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from importlib import metadata, util

from ssdet.commands import (
    benchmark,
    convert,
    doctor_data,
    evaluate,
    export,
    predict,
    provenance,
)
from ssdet.texts import printable

# Package, what it is for, whether nothing works without it.
PACKAGES = (
    ("torch", "training and inference", True),
    ("torchvision", "JPEG decoding", True),
    ("h5py", "frame shards, features, predictions", True),
    ("pydantic", "config.yaml", True),
    ("safetensors", "published weights", True),
    ("av", "reading video files: inventory, extract_frames, demo", False),
    ("snakemake", "the workflow", False),
    ("snakemake_executor_plugin_slurm", "--profile slurm", False),
    ("matplotlib", "figures of the report", False),
    ("rich", "progress bars, ssdet provenance", False),
    ("onnxscript", "ssdet export", False),
    ("onnxruntime", "ssdet export", False),
)
ENOUGH_DISK_GB = 5
# They import what they need when they run: doctor must start without any of it.
COMMANDS = {
    "predict": (predict, "what a trained detector finds in video files"),
    "evaluate": (evaluate, "score predictions, a submission or detected segments"),
    "benchmark": (benchmark, "run what this program's speed is claimed by"),
    "convert": (convert, "X3D weights from and to others"),
    "export": (export, "a single-stream detector as ONNX"),
    "provenance": (provenance, "where a result comes from, and if it all still holds"),
}


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand; returns the exit status."""
    parser = argparse.ArgumentParser(prog="ssdet", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser("doctor", help="look at this machine, say what lacks")
    doctor.add_argument("--results", default=".", help="folder that results go to")
    doctor.set_defaults(run=lambda args: examine(args.results))
    parts = doctor.add_subparsers(dest="part", metavar="data")
    data = parts.add_parser("data", help="look at a data set, say what lacks")
    doctor_data.add_arguments(data)
    data.set_defaults(run=doctor_data.run)
    for name, (command, help) in COMMANDS.items():
        one = commands.add_parser(name, help=help)
        command.add_arguments(one)
        one.set_defaults(run=command.run)
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except (ValueError, OSError) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 1


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
