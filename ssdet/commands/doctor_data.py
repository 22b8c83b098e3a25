"""`ssdet doctor data`: what is there of a data set, and what lacks."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssdet.data.checkup import Checkup

SHOWN = 10  # videos of a kind
RATES = 6  # frame rates


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument("--dataset", required=True, help="name, as in the config")
    parser.add_argument(
        *("--configfile", "--config"),
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        help="its values go before those of config/config.yaml; may be several",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="processes that look at videos (default: all cores)",
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="OUT",
        help="also write everything as JSON, or print it instead if no file is named",
    )


def run(args: argparse.Namespace) -> int:
    """Look at the data set, print what was found; 1 if something must be mended."""
    from ssdet.commands.configuration import read_configuration, refuse_unknown
    from ssdet.data.checkup import check
    from ssdet.files import write_text

    cfg = read_configuration(args.configfile)
    refuse_unknown(args.dataset, cfg)
    found = check(args.dataset, cfg, args.workers)
    content = json.dumps(asdict(found), indent=2) + "\n"
    if args.json == "-":
        print(content, end="")
    else:
        print("\n".join(lines(found)))
    if args.json not in (None, "-"):
        write_text(args.json, content)
    return 1 if found.problems else 0


def lines(found: Checkup) -> list[str]:
    """The findings as one reads them."""
    text = [f"{found.dataset}: labels"]
    if found.labels:
        counts = ", ".join(f"{n:,} {kind}" for kind, n in found.labels.items())
        kinds = found.irregularities.items()
        irregular = ", ".join(f"{n:,} {kind.replace('_', ' ')}" for kind, n in kinds)
        text += [_line("listed", counts), _line("irregular", irregular or "none")]
    else:
        text.append(_line("listed", "cannot be read"))
    if found.source != "none":
        text += _videos(found)
    text.append("")
    if found.problems:
        text.append("To be mended:")
        text += ["- " + problem.replace("\n", "\n  ") for problem in found.problems]
    else:
        text.append("Nothing to be mended.")
    return text


def _videos(found: Checkup) -> list[str]:
    if found.source == "inventory":
        how = f"every frame decoded, by {found.inventory}"
    else:
        how = f"headers and first frames; snakemake {found.inventory} decodes all"
    corrupt = [f"{video}: {reason}" for video, reason in found.corrupt.items()]
    short = [f"{video} ({frames})" for video, frames in found.short.items()]
    odd = [f"{video} ({fps:g})" for video, fps in found.odd_rates.items()]
    rates = [f"{rate} ({count:,})" for rate, count in found.rates.items()] or ["-"]
    text = [
        f"{found.dataset}: videos ({how})",
        _line("expected", f"{found.expected:,}"),
        _line("found", f"{found.found:,}"),
        _line("missing", _some(found.missing)),
        _line("corrupt", _some(corrupt, "\n" + " " * 14)),
        _line("short", _some(short) + f" [below {found.clip_frames} frames, one clip]"),
        _line("odd rates", _some(odd)),
        _line("frames/s", ", ".join(rates[:RATES]) + ", ..." * (len(rates) > RATES)),
    ]
    if found.excluded:
        text.append(_line("excluded", _some(found.excluded)))
    return text


def _line(name: str, value: str) -> str:
    return f"  {name:<12}{value}"


def _some(entries: Iterable[str], between: str = ", ") -> str:
    """How many there are, and the first ones."""
    entries = list(entries)
    if not entries:
        return "0"
    shown = entries[:SHOWN] + ["..."] * (len(entries) > SHOWN)
    first = between if between.startswith("\n") else ": "
    return f"{len(entries):,}" + first + between.join(shown)
