"""What every stage does around its work: logging, clear errors, the device."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable

import torch

from ssdet.texts import printable

log = logging.getLogger(__name__)


class StageError(ValueError):
    """Bad input: the message names file, row or key, what was expected and found."""


class Interrupted(SystemExit):
    """SIGTERM arrived: the state is saved, the job is to be run again."""


def run(main: Callable[[], None]) -> None:
    """Run a stage as a program: log to stderr, end a bad run with one clear message."""
    logging.basicConfig(
        level=os.environ.get("SSDET_LOG_LEVEL", "INFO"),
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
        stream=sys.stderr,
    )
    try:
        main()
    except (ValueError, OSError) as error:
        logging.debug("where the error was raised", exc_info=True)
        sys.stderr.write(f"error: {printable(str(error))}\n")
        raise SystemExit(1) from None


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--device auto|cpu|cuda`."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Turn `auto`, `cpu` or `cuda` into a device.

    Raises:
        StageError: `cuda` was asked for and there is none.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise StageError(
            "--device cuda was asked for, but PyTorch sees no GPU; use auto or cpu"
            " (config key resources.device), or look at the output of nvidia-smi"
        )
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    return device


def device_name(device: torch.device) -> str:
    """The device's name for the provenance block."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"
