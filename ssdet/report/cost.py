"""The stage `cost`: parameters and multiply-adds of every model, beside the papers'.

One clip of 128 frames, one view. What several members share is counted once: the fine
stream of two-stream detectors, whose features are cached.

Source: spec of Coarse-Fine, section 11.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from ssdet.config import HeadNetwork, ModelConfig
from ssdet.files import write_text
from ssdet.models.cost import FRAMES, PAPERS_CROP, Cost, network_costs
from ssdet.models.head_cost import head_cost
from ssdet.models.x3d import PRESETS, X3D
from ssdet.report import table_text

REVISION = 2
CLASSES = 157  # of Charades, as in the papers
COLUMNS = {
    "name": "result",
    "networks": "networks",
    "parameters_million": "parameters [10^6]",
    "multiply_adds_billion": "multiply-adds [10^9]",
    "as_published_billion": "as the papers count",
    "cvpr_2021_billion": "CVPR 2021",
    "difference_cvpr_2021_percent": "ours above [%]",
    "aaai_2023_billion": "AAAI 2023",
    "difference_aaai_2023_percent": "ours above [%]",
}
NUMBERS = tuple(COLUMNS)[2:]
KINDS = {
    "fine": "X3D",
    "coarse": "Coarse",
    "slow": "Slow",
    "coarse_fine": "Coarse-Fine",
    "end_to_end": "Coarse-Fine, end to end",
    "slowfast": "SlowFast_det",
    "head": "temporal head",
}
# Of the papers' figures, 10^9: Coarse-Fine (CVPR 2021) and SSDet (AAAI 2023), read off
# with an error of 0.3 %.
PUBLISHED: dict[tuple[str, ...], tuple[float | None, float]] = {
    ("fine",): (37.8, 37.96),
    ("slowfast",): (54.4, 54.4),
    ("coarse_fine",): (60.6, 73.37),
    3 * ("fine",): (None, 113.9),
    3 * ("slowfast",): (None, 162.8),
    6 * ("coarse_fine",): (None, 276.7),
    3 * ("coarse_fine",) + 3 * ("fine",): (None, 276.7),
}
NOTE = """\
One clip of {frames} frames, {crop} x {crop} pixels, in all streams; one view, {classes}
classes. *Parameters*: of all networks that a result needs. *Multiply-adds*: of all
convolutions and matrix products; the fine stream that several members read the
features of is counted once. *As the papers count*: with the fusion of Coarse-Fine on
maps as large as those of its stages, as the authors' program computes it; here it is
computed on {pool} x {pool} maps, with the same result. *CVPR 2021*, *AAAI 2023*: read
off the figures of the Coarse-Fine and SSDet papers, and by how much our count lies
above. The 73.37 of Coarse-Fine is not what its published configuration takes; 65 coarse
frames in place of 33 would take it.
"""
OTHER = """\
The papers' counts are left out: they are of another network than the configured one.
"""
UNCOUNTED = """\
Not counted (-): {names}.
"""

log = logging.getLogger(__name__)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.report.cost")
    parser.add_argument("--model", required=True, help="config section, JSON")
    parser.add_argument("--crop", type=int, required=True, help="side, pixels")
    parser.add_argument("--pool", type=int, required=True, help="side of features")
    parser.add_argument(
        "--results", required=True, help="JSON: result -> its models' sections"
    )
    parser.add_argument("--out-csv", type=Path, required=True)
    parser.add_argument("--out-md", type=Path, required=True)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, count, write both tables."""
    args = arguments().parse_args(argv)
    model = ModelConfig.model_validate_json(args.model)
    results: dict[str, list[dict[str, Any]]] = json.loads(args.results)
    costs = network_costs(model, CLASSES, args.crop, args.pool)
    costs |= head_costs(model, [m for models in results.values() for m in models])
    papers = is_papers(model, args.crop)
    order = sorted(results, key=lambda name: (len(results[name]), name))
    rows = [row(name, results[name], costs, papers) for name in order]
    uncounted = [r["name"] for r in rows if r["parameters_million"] is None]
    note = NOTE.format(frames=FRAMES, crop=args.crop, classes=CLASSES, pool=args.pool)
    note += "" if papers else OTHER
    note += UNCOUNTED.format(names=", ".join(map(str, uncounted))) if uncounted else ""
    write_text(args.out_csv, table_text.as_csv(rows, COLUMNS))
    write_text(args.out_md, table_text.as_markdown(rows, COLUMNS, NUMBERS) + note)
    log.info("cost of %d results in %s and %s", len(rows), args.out_csv, args.out_md)


def head_costs(
    model: ModelConfig, models: Sequence[Mapping[str, Any]]
) -> dict[str, Cost]:
    """Costs of the temporal heads among some models, by `head <its name>`."""
    with torch.device("meta"):
        conv5_width = X3D(model.depth_factor, model.width_factor).conv5_width
    widths = {"head": model.head_width, "conv5": conv5_width}
    network: TypeAdapter[HeadNetwork] = TypeAdapter(HeadNetwork)
    return {
        f"head {found['head']}": head_cost(
            network.validate_python(found["network"]),
            widths[found["features"]],
            CLASSES,
        )
        for found in models
        if "network" in found
    }


def is_papers(model: ModelConfig, crop: int) -> bool:
    """Whether the configured network is the one that the papers count."""
    size = (model.depth_factor, model.width_factor)
    return size == PRESETS["x3d_m"] and model.head_width == 2048 and crop == PAPERS_CROP


def row(
    name: str,
    models: Sequence[Mapping[str, Any]],
    costs: Mapping[str, Cost],
    papers: bool,
) -> dict[str, str | float | None]:
    """The table's row of a result.

    Args:
        name: of the result.
        models: config sections of its members.
        costs: of the networks' parts.
        papers: whether published counts are of the same networks.
    """
    kinds = tuple(sorted(model["kind"] for model in models))
    needed = [parts(model) for model in models]
    cvpr, aaai = PUBLISHED.get(kinds, (None, None)) if papers else (None, None)
    values: dict[str, str | float | None] = dict.fromkeys(COLUMNS)
    values |= {"name": name, "networks": _listed(kinds)}
    values |= {"cvpr_2021_billion": cvpr, "aaai_2023_billion": aaai}
    if None in needed:
        return values
    once = {key: part for found in needed if found for key, part in found.items()}
    cost = sum((costs[part] for part in once.values()), Cost(0, 0, 0))
    ours = None if cost.as_published is None else cost.as_published / 1e9
    return values | {
        "parameters_million": cost.parameters / 1e6,
        "multiply_adds_billion": cost.multiply_adds / 1e9,
        "as_published_billion": ours,
        "difference_cvpr_2021_percent": _above(ours, cvpr),
        "difference_aaai_2023_percent": _above(ours, aaai),
    }


def parts(model: Mapping[str, Any]) -> dict[str, str] | None:
    """What has to run for a model: which network it is -> the part whose cost it has.

    None if nothing says how a model of this kind is counted.
    """
    match model:
        case {"kind": "fine", "pretext": pretext}:
            return {f"backbone {pretext}": "backbone", f"head {pretext}": "head"}
        case {"kind": "coarse" | "slow" as kind, "pretext": pretext}:
            return {f"{kind} {pretext}": kind}
        case {"kind": "head", "head": head, "pretext": pretext, "features": features}:
            detector = {f"backbone {pretext}": "backbone"}
            if features == "head":
                detector[f"read {pretext}"] = "read"
            return {**detector, f"{head} {pretext}": f"head {head}"}
        case {"kind": "coarse_fine", "coarse": coarse, "fine": fine}:
            return {f"backbone {fine}": "backbone", f"fused {coarse} {fine}": "fused"}
        case {"kind": "end_to_end", "coarse": coarse, "fine": fine}:
            pair = f"{coarse} {fine} end to end"  # which shares no fine stream
            return {f"backbone {pair}": "backbone", f"fused {pair}": "fused"}
        case {"kind": "slowfast", "slow": slow, "fast": fast}:
            return {f"slowfast {slow} {fast}": "slowfast"}
    return None


def _listed(kinds: Sequence[str]) -> str:
    counts = Counter(KINDS.get(kind, kind) for kind in kinds)
    return " + ".join(f"{n} {kind}" if n > 1 else kind for kind, n in counts.items())


def _above(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else 100 * (ours / theirs - 1)


if __name__ == "__main__":
    from ssdet.stage import run

    run(main)
