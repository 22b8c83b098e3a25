"""`ssdet provenance`: where a result comes from, and whether all of it still holds."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssdet.commands.lineage.walk import Node
    from ssdet.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument(
        "file",
        type=Path,
        nargs="?",
        help="a result, checkpoint, predictions, features, frames or inventory",
    )
    parser.add_argument(
        "--diff",
        type=Path,
        nargs=2,
        metavar=("A", "B"),
        help="say why two such files differ, first cause first",
    )
    parser.add_argument(
        *("--configfile", "--config"),
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        help="its values go before those of config/config.yaml; may be several. Without"
        " it, config/config.yaml is compared if its results are these",
    )
    parser.add_argument(
        "--videos", action="store_true", help="hash the source videos too (slow)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print what was found: 0 all is as it was (or the same), 1 it is not, 2 errors."""
    try:
        if (args.file is None) == (args.diff is None):
            raise ValueError("give one FILE, or two with --diff A B")
        return _differ(args) if args.diff else _verify(args)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _verify(args: argparse.Namespace) -> int:
    from ssdet.commands.lineage import show
    from ssdet.commands.lineage.stale import stale
    from ssdet.commands.lineage.walk import every, walk

    (root,) = walk([args.file], args.videos)
    nodes = list(every(root))
    cfg, compared = _configuration(args.configfile, nodes)
    for node in nodes:
        node.stale = stale(node, cfg)
    if args.json:
        print(json.dumps(show.as_json(root, compared), indent=2))
    else:
        show.print_tree(root, compared)
    return int(show.fails(root))


def _configuration(given: list[Path], nodes: list[Node]) -> tuple[Config | None, str]:
    """The configuration to compare with, if there is one, and what to say of it."""
    from ssdet.commands.configuration import BASE, read_configuration
    from ssdet.commands.lineage.stale import is_of

    if given:
        names = ", ".join(map(str, [BASE, *given]))
        return read_configuration(given), f"Compared with the configuration {names}."
    if not BASE.is_file():
        return None, f"No configuration was compared: there is no {BASE} here."
    cfg = read_configuration([])
    if is_of(cfg, nodes):
        return cfg, f"Compared with the configuration {BASE}."
    return None, (
        f"No configuration was compared: results of {BASE} alone lie in {cfg.results}/."
        " Give what Snakemake was given, --configfile FILE."
    )


def _differ(args: argparse.Namespace) -> int:
    from ssdet.commands.lineage.difference import compare, lines
    from ssdet.commands.lineage.walk import walk

    first, second = walk(args.diff, args.videos)
    found = compare(first, second)
    if args.json:
        print(json.dumps(found.as_json(), indent=2))
    else:
        print("\n".join(lines(found)))
    return int(found.differ)
