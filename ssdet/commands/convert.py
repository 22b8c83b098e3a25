"""`ssdet convert`: X3D weights under the names of another program."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

NAMES = ("ours", "reference", "slowfast", "pytorchvideo")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument("source", type=Path, help="weights of any known program")
    parser.add_argument("out", type=Path, help=".safetensors for ours")
    parser.add_argument("--to", choices=NAMES, default="ours", help="whose names")


def run(args: argparse.Namespace) -> int:
    """Convert the weights that the arguments name."""
    return rename(args.source, args.out, args.to)


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
