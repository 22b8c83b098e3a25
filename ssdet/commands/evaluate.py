"""`ssdet evaluate`: score predictions, a submission or detected segments."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument(
        "file",
        type=Path,
        help="logits (.h5 of the stage predict), a submission to the Charades"
        " challenge (text), or detected segments (JSON of ActivityNet)",
    )
    parser.add_argument("--dataset", required=True, help="name, as in the config")
    parser.add_argument(
        *("--configfile", "--config"),
        type=Path,
        action="append",
        default=[],
        help="its values go before those of config/config.yaml; may be repeated",
    )
    parser.add_argument(
        "--inventory",
        type=Path,
        help="default: that of the results, if there is one; without any, frames are"
        " counted by the annotated durations",
    )
    parser.add_argument(
        "--incomplete",
        action="store_true",
        help="score the file although videos are missing, unknown or repeated",
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write JSON")
    parser.add_argument("--threads", type=int, default=1)


def run(args: argparse.Namespace) -> int:
    """Score the file, print the table, write the JSON."""
    from ssdet.commands.configuration import read_configuration, refuse_unknown
    from ssdet.evaluate.evaluate_file import evaluate_file
    from ssdet.evaluate.file_report import table

    cfg = read_configuration(args.configfile)
    refuse_unknown(args.dataset, cfg)
    inventory = args.inventory
    usual = Path(cfg.results) / args.dataset / "inventory.csv"
    if inventory is None and usual.is_file():
        inventory = usual
    result = evaluate_file(
        args.file,
        args.dataset,
        cfg.datasets[args.dataset],
        inventory,
        args.incomplete,
        args.threads,
        args.json,
    )
    print(table(result))
    return 0
