"""Parameters and multiply-adds of complexity.json."""

import json
import re

import pytest
import torch

from ssdet.models import CoarseFine, SlowFast, X3DDetector, count_parameters
from ssdet.models.cost import fusion_at_native_size, multiply_adds
from ssdet.models.x3d import PRESETS

DEPTH_FACTOR, WIDTH_FACTOR = PRESETS["x3d_m"]
CLASSES = 157


def fine(classes=CLASSES):
    return X3DDetector(
        depth_factor=DEPTH_FACTOR,
        width_factor=WIDTH_FACTOR,
        head_width=2048,
        classes=classes,
        dropout=0.5,
        mode="loc",
    )


def coarse_fine(classes=CLASSES, **options):
    return CoarseFine(
        depth_factor=DEPTH_FACTOR,
        width_factor=WIDTH_FACTOR,
        head_width=2048,
        classes=classes,
        dropout=0.5,
        fine_frames=128,
        compat="reference",
        unpool="resize",
        film_init="default",
        **options,
    )


def slowfast(classes=CLASSES):
    return SlowFast(
        depth_factor=DEPTH_FACTOR,
        width_factor=WIDTH_FACTOR,
        head_width=2048,
        classes=classes,
        dropout=0.5,
    )


@pytest.mark.golden("complexity.json")
def test_parameters(golden_file):
    for name, expected in json.loads(golden_file.read_text())["params"].items():
        with torch.device("meta"):
            assert parameters_of(name) == expected, name


def parameters_of(name):
    if match := re.fullmatch(r"(?:fine|x3d_m)_(\d+)", name):
        return count_parameters(fine(int(match[1])))
    if match := re.fullmatch(r"coarse_fine_model_(\d+)_without_fine_tower", name):
        return count_parameters(coarse_fine(int(match[1])))
    if match := re.fullmatch(r"slowfast_det_(\d+)", name):
        return count_parameters(slowfast(int(match[1])))
    model = coarse_fine()
    modules = {"pool_1": model.grid_pool, "rw6": model.fusion.logits}
    modules |= {f"rw{d}": module for d, module in enumerate(model.fusion.depths, 2)}
    modules |= {f"mix{d}": module for d, module in enumerate(model.fusion.mixes, 2)}
    return count_parameters(modules[name])


@pytest.mark.golden("complexity.json")
def test_multiply_adds(golden_file):
    content = json.loads(golden_file.read_text())
    del content["unit"], content["params"]
    for name, expected in flatten(content):
        with torch.device("meta"):
            cost = cost_of(name)
        assert cost == pytest.approx(expected, rel=5e-3), name


def flatten(content):
    for name, value in content.items():
        if isinstance(value, dict):
            yield from ((f"{name} {key}", number) for key, number in value.items())
        else:
            yield name, value


def cost_of(name):
    """10^9 multiply-adds, as the papers count them."""
    if match := re.fullmatch(r"fine T(\d+)(_no_head)?", name):
        return fine_cost(int(match[1]), "backbone" if match[2] else "")
    if match := re.fullmatch(r"slow_solo_(\d+)frames", name):
        return fine_cost(int(match[1]), "")
    if match := re.fullmatch(r"coarse_solo T(\d+)", name):
        return solo_cost(int(match[1]), "grid")
    if match := re.fullmatch(r"coarse_with_fusion_given_features T(\d+)_Tf(\d+)", name):
        return coarse_cost(int(match[1]), int(match[2]), "grid")
    if match := re.fullmatch(r"slowfast_det_total_(\d+)", name):
        return slowfast_costs(int(match[1]))["total"]
    if name.startswith("slowfast_det_parts "):
        return slowfast_costs(128)[name.partition(" ")[2]]
    match = re.fullmatch(r"(coarse|fine)_fine_total_T?(\d+)", name)
    frames = int(match[2])
    how = "grid" if match[1] == "coarse" else "none"
    return fine_cost(frames, "backbone") + coarse_cost(frames, frames, how)


def fine_cost(frames, part):
    return multiply_adds(fine(), torch.empty(1, 3, frames, 224, 224))[part] / 1e9


def solo_cost(frames, temporal_pool):
    model = coarse_fine(fusion=False, temporal_pool=temporal_pool)
    return multiply_adds(model, torch.empty(1, 3, frames, 224, 224))[""] / 1e9


def coarse_cost(frames, fine_frames, temporal_pool):
    count = frames if temporal_pool == "none" else -(-frames // 4) + 1
    backbone = fine().backbone
    fusion = fusion_at_native_size(
        backbone.widths, backbone.conv5_width, CLASSES, fine_frames, count
    )
    return solo_cost(frames, temporal_pool) + fusion / 1e9


def slowfast_costs(frames):
    """The whole network, and its parts by the names of complexity.json."""
    counts = multiply_adds(slowfast(), torch.empty(1, 3, frames, 224, 224))
    costs = {f"lat{n + 1}": counts[f"laterals.{n}"] / 1e9 for n in range(4)}
    parts = ("stem", *(f"stages.{n}" for n in range(4)), "conv5")
    fast = sum(counts[f"fast.{part}"] for part in parts) / 1e9
    total = counts[""] / 1e9
    slow = total - fast - sum(costs.values())
    named = {"fast_no_head": fast, "slow_incl_concat_and_fc1_864": slow}
    return costs | named | {"total": total}
