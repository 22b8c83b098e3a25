"""The closed-form rules that make weights and inputs of the reference files.

Two families, each written down in the README of its folder. Weights are keyed by the
reference's names, in plain batch-norm form (`foreign_name(name, "reference")`).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from ssdet.models.naming import foreign_name, import_state
from ssdet.models.x3d import PRESETS, X3D

# ---- ssdet: README of tests/golden/ssdet, section 1 ---------------------------------


def ssdet_uniform(k: int, count: int, seed: int) -> np.ndarray:
    """u(k, i, seed) for i = 0 .. count - 1, in (0, 1)."""
    x = np.arange(1, count + 1, dtype=np.uint32) * np.uint32(0x9E3779B1)
    x += np.uint32(((k + 1) * 0x85EBCA6B + (seed + 1) * 0xC2B2AE35) % 2**32)
    x ^= x >> 16
    x *= np.uint32(0x7FEB352D)
    x ^= x >> 15
    x *= np.uint32(0x846CA68B)
    x ^= x >> 16
    return (x + 0.5) / 2**32


def ssdet_clip(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """The clip of a case, float64."""
    _, _, _, height, width = shape
    b, c, t, h, w = np.ogrid[tuple(slice(n) for n in shape)]
    wave = np.sin(
        0.5 * t + 0.9 * b + 1.7 * c + 6.0 * h / height + 4.0 * w / width + 0.3 * seed
    )
    noise = ssdet_uniform(100000, int(np.prod(shape)), seed).reshape(shape)
    return 0.8 * wave + 0.6 * (2 * noise - 1)


def ssdet_state(model: torch.nn.Module, seed: int) -> dict[str, torch.Tensor]:
    """Weights for a single-stream detector, under its own names, float64."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    names = {foreign_name(name, "reference"): name for name in shapes}
    state = {}
    for k, theirs in enumerate(sorted(names, key=_fill_order)):
        name = names[theirs]
        state[name] = torch.from_numpy(_ssdet_tensor(theirs, shapes[name], k, seed))
    return state


def _fill_order(name: str) -> tuple[int, ...]:
    """Stem, blocks, head; in a block by the order the README gives."""
    module, _, leaf = name.rpartition(".")
    leaves = ["weight", "bias", "running_mean", "running_var"]
    if not module.startswith("layer"):
        rank = ["conv1_s", "conv1_t", "bn1", "conv5", "bn5", "fc1", "fc2"].index(module)
        return (0 if rank < 3 else 99, 0, rank, leaves.index(leaf))
    stage, block, part = module.removeprefix("layer").split(".", 2)
    parts = ["conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "fc1", "fc2"]
    parts += ["downsample.0", "downsample.1"]
    return int(stage), int(block), parts.index(part), leaves.index(leaf)


def _ssdet_tensor(name: str, shape: tuple[int, ...], k: int, seed: int) -> np.ndarray:
    u = ssdet_uniform(k, int(np.prod(shape)), seed).reshape(shape)
    v = 2 * u - 1
    if name == "fc2.weight":
        out = v * np.sqrt(0.75 / 2048)
    elif len(shape) > 1:
        out = v * np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith((".bias", "running_mean")):
        out = 0.2 * v
    elif name.endswith("running_var"):
        out = 0.5 + u
    elif name.endswith("bn3.weight"):
        out = 0.10 + 0.20 * u
    else:
        out = 0.75 + 0.5 * u
    return out.astype(np.float32).astype(np.float64)


# ---- coarse_fine: README of tests/golden/coarse_fine, section 1 ---------------------


def noise(count: int, salt: int) -> np.ndarray:
    """noise(i, salt) for i = 0 .. count - 1, in (-1, 1)."""
    h = np.arange(1, count + 1, dtype=np.uint32)
    h += np.uint32(1000003 * (salt + 1) % 2**32)
    h ^= h >> 16
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> 13
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> 16
    return (h + 0.5) / 2**31 - 1


def network_size(table: Path) -> dict[str, float | int]:
    """The factors, head width and classes of the network of a state_*.json."""
    shapes = {e["name"]: e["shape"] for e in json.loads(table.read_text())["tensors"]}
    blocks = {tuple(n.split(".")[:2]) for n in shapes if n.startswith("layer")}
    depths = [sum(stage == f"layer{i}" for stage, _ in blocks) for i in range(1, 5)]
    width = shapes["conv1_s.weight"][0]
    for depth_factor, width_factor in PRESETS.values():
        with torch.device("meta"):
            x3d = X3D(depth_factor, width_factor)
        if list(x3d.depths) == depths and x3d.widths[0] == width:
            return {
                "depth_factor": depth_factor,
                "width_factor": width_factor,
                "head_width": shapes["fc1.weight"][0],
                "classes": shapes["fc2.bias"][0],
            }
    raise AssertionError(f"{table} is of no network in PRESETS: {depths}, {width}")


def coarse_fine_state(table: Path, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Weights of a state_*.json, under the names of `model`, float32."""
    content = json.loads(table.read_text())
    theirs = {}
    for entry in content["tensors"]:
        filled = _coarse_fine_tensor(entry, content["salt"])
        assert abs(filled.astype(np.float64).sum() - entry["sum"]) < 1e-3, entry
        ends = [entry["first"], entry["last"]]
        np.testing.assert_allclose(filled.flat[[0, -1]], ends, rtol=0, atol=1e-6)
        theirs[entry["name"]] = torch.from_numpy(filled)
    return import_state(theirs, model, "reference")


def _coarse_fine_tensor(entry: dict, salt: int) -> np.ndarray:
    name, kind, shape = entry["name"], entry["kind"], entry["shape"]
    v = noise(int(np.prod(shape)), salt + entry["index"]).reshape(shape)
    if kind == "weight":
        out = _multiplier(name) * np.sqrt(3 / np.prod(shape[1:])) * v
    elif kind == "bn_weight":
        out = 1 + 0.2 * v
    elif kind == "bn_var":
        out = 1 + 0.5 * v
    else:
        out = 0.1 * v
    return out.astype(np.float32)


def _multiplier(name: str) -> float:
    if name == "pool_1.conv3.weight":
        return 12.0
    if name.startswith("rw") and name.endswith("at2.weight"):
        return 4.0
    return 2.0 if name.startswith(("rw6.", "mix")) else 1.0


def coarse_fine_clip(shape: tuple[int, ...], salt: int) -> np.ndarray:
    """The clip of a case, float32."""
    b, c, t, h, w = np.ogrid[tuple(slice(n) for n in shape)]
    grain = noise(int(np.prod(shape)), salt).reshape(shape)
    pattern = (
        0.5 * grain
        + np.sin(0.7 * t + 0.9 * c + 0.4 * b)
        + np.cos(0.11 * h * (1 + 0.3 * t) - 0.23 * w + c)
    )
    return ((1 + 0.8 * np.sin(0.9 * t + 0.6 * b)) * pattern).astype(np.float32)


def coarse_fine_feature(shape: tuple[int, ...], salt: int) -> np.ndarray:
    """One fine feature map of a case, float32."""
    b, c, t, h, w = np.ogrid[tuple(slice(n) for n in shape)]
    grain = noise(int(np.prod(shape)), salt).reshape(shape)
    pattern = 0.6 * grain + 0.5 * np.sin(
        0.35 * t + 1.3 * c + 0.5 * h - 0.3 * w + 0.7 * b
    )
    wave = 1 + 0.7 * np.sin(0.45 * t + 0.3 * b)
    return np.maximum(0, wave * pattern).astype(np.float32)


def checksum(x: np.ndarray) -> np.ndarray:
    """What the files call `chk_*`: sum, sum of absolutes, first six values."""
    x = x.astype(np.float64)
    return np.concatenate([[x.sum(), np.abs(x).sum()], x.reshape(-1)[:6]])


def split_cases(file: Path, separator: str = "/") -> dict[str, dict[str, np.ndarray]]:
    """Arrays of an npz by case: keys are `case/array`."""
    cases: dict[str, dict[str, np.ndarray]] = {}
    with np.load(file) as arrays:
        for key in arrays.files:
            case, _, name = key.partition(separator)
            cases.setdefault(case, {})[name] = arrays[key]
    return cases


# ---- spot: README of tests/golden/spot, "Deterministic fill" ------------------------


def spot_uniform(shape: list[int], stream: int) -> np.ndarray:
    """u of a stream in row-major order, in [0, 1)."""
    x = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint32) * np.uint32(2654435761)
    x += np.uint32((stream + 1) * 40503 % 2**32)
    x ^= x >> 15
    x *= np.uint32(2246822519)
    x ^= x >> 13
    x *= np.uint32(3266489917)
    x ^= x >> 16
    return (x / 2**32).reshape(shape)


def spot_tensor(entry: dict) -> np.ndarray:
    """A tensor of a table, by its `fill`, float64; a counter is int64."""
    shape = entry["shape"]
    if entry["fill"] == "arange":
        return np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    v = 2 * spot_uniform(shape, entry["stream"]) - 1
    if entry["fill"] == "weight":
        return np.sqrt(3 / np.prod(shape[1:])) * v
    if entry["fill"] == "layernorm_weight":
        return 1 + 0.1 * v
    return {"bias": 0.1, "position_table": 0.5}[entry["fill"]] * v
