"""X3D weights of other programs, read and written: the work of `ssdet convert`.

Ours are safetensors: tensors by our names, nothing that can run. Theirs are pickles of
PyTorch, read with `weights_only`, so that a file which would run code is refused.

Source: spec of SSDet, section 1.7.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ssdet.files import atomic, sha256, write_text
from ssdet.models.detector import X3DDetector
from ssdet.models.naming import Family, foreign_name, import_state
from ssdet.models.x3d import PRESETS
from ssdet.tensor_files import load_pickled, load_safetensors

Names = Literal["ours", "reference", "slowfast", "pytorchvideo"]

# A tensor that only this family has.
SIGNS: dict[Names, str] = {
    "ours": "backbone.stem.spatial.weight",
    "reference": "conv1_s.weight",
    "slowfast": "s1.pathway0_stem.conv_xy.weight",
    "pytorchvideo": "blocks.0.conv.conv_t.weight",
}
# Under which key a program saves the weights in its file.
WRAPPERS = ("weights", "model_state", "model_state_dict", "state_dict")
WRAPPER_OF: dict[Family, str] = {
    "reference": "model_state_dict",
    "slowfast": "model_state",
    "pytorchvideo": "model_state",
}
CLASSIFIER = {"head.fc2.weight", "head.fc2.bias"}


@dataclass(frozen=True)
class Weights:
    """A single-stream network's weights, by our names.

    Attributes:
        state: our name -> tensor.
        preset: the network's size, a key of `x3d.PRESETS`.
        names: whose names the file had.
        renamed: their name -> ours; empty for ours.
        left_out: their tensors that have no place here.
    """

    state: dict[str, Tensor]
    preset: str
    names: Names
    renamed: dict[str, str]
    left_out: list[str]


def read_weights(path: Path) -> Weights:
    """Read weights in any of the four forms; their form and size are recognised.

    Raises:
        ValueError: the file is missing, would run code, has names of none of the
            families, or is of a network of another shape; the message says which.
    """
    state = read_tensors(path)
    names = _whose(state, path)
    if names == "ours":
        size, _ = _size(state, lambda model: dict(state), path)
        return Weights(dict(state), size, names, {}, [])
    family: Family = names
    size, imported = _size(
        state, lambda model: import_state(state, model, family), path
    )
    renamed = {foreign_name(name, family): name for name in imported}
    left_out = sorted(name for name in state if _plain(name) not in renamed)
    return Weights(imported, size, names, renamed, left_out)


def write_weights(path: Path, weights: Weights, names: Names, source: Path) -> None:
    """Write weights under the names of a family, and a manifest beside them.

    Args:
        path: safetensors for ours, a pickle of PyTorch for the others.
        weights: what `read_weights` gave.
        names: whose names to write.
        source: the file they came from, for the manifest `<path>.json`.

    Raises:
        ValueError: PyTorchVideo's network has no place for the norm of the first
            shortcut, and that norm does something.
    """
    if names == "ours":
        from safetensors.torch import save_file

        tensors = {name: t.contiguous() for name, t in weights.state.items()}
        with atomic(path) as file:
            save_file(tensors, file, {"format": "ssdet", "preset": weights.preset})
    else:
        if names == "pytorchvideo":
            weights = _without_neutral_norm(weights)
        state = {foreign_name(n, names): t for n, t in weights.state.items()}
        with atomic(path) as file:
            torch.save({WRAPPER_OF[names]: state}, file)
    manifest = {
        "source": {"file": source.name, "sha256": sha256(source)},
        "file": {"file": path.name, "sha256": sha256(path)},
        "from": weights.names,
        "to": names,
        "preset": weights.preset,
        "classes": len(weights.state["head.fc2.bias"]),
        "renamed": weights.renamed,
        "left_out": weights.left_out,
    }
    write_text(path.with_name(path.name + ".json"), json.dumps(manifest, indent=1))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file of weights, by its names but for a leading `module.`.

    Raises:
        ValueError: the file is missing, would run code, or holds no weights.
    """
    if not path.is_file():
        raise ValueError(f"no weights at {path}")
    if path.suffix == ".safetensors":
        return load_safetensors(path)
    content = load_pickled(path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds a {type(content).__name__}, not weights")
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def _whose(state: Mapping[str, Tensor], path: Path) -> Names:
    for names, sign in SIGNS.items():
        if sign in state:
            return names
    shown = ", ".join(sorted(state)[:3]) or "no tensors"
    raise ValueError(
        f"{path} has names of none of {', '.join(get_args(Names))} (it has {shown}, …);"
        " only X3D networks can be converted"
    )


def _size(
    state: Mapping[str, Tensor], load: Any, path: Path
) -> tuple[str, dict[str, Tensor]]:
    """The preset that the weights are of, and the weights as `load` names them."""
    problems = []
    for preset, (depth_factor, width_factor) in PRESETS.items():
        if preset == "x3d_s":
            continue  # the network of x3d_m, seen through other clips
        model = X3DDetector(
            depth_factor=depth_factor,
            width_factor=width_factor,
            head_width=2048,
            classes=1,
            dropout=0.0,
            mode="loc",
        )
        try:
            found: dict[str, Tensor] = load(model)
        except ValueError as error:
            problems.append(f"{preset}: {error}")
            continue
        wrong = _differences(found, model.state_dict())
        if not wrong:
            return preset, found
        problems.append(f"{preset}: {'; '.join(wrong[:5])}")
    raise ValueError(
        f"{path} has weights of none of the published sizes:\n  "
        + "\n  ".join(problems)
    )


def _differences(found: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    wrong = [f"no {name}" for name in own if name not in found]
    wrong += [f"unknown {name}" for name in found if name not in own]
    return wrong + [
        f"{name} is {tuple(found[name].shape)}, not {tuple(own[name].shape)}"
        for name in own
        if name in found
        and name not in CLASSIFIER
        and found[name].shape != own[name].shape
    ]


def _plain(name: str) -> str:
    return name.replace(".bn.running_", ".running_")


def _without_neutral_norm(weights: Weights) -> Weights:
    """Weights without the first shortcut's norm, if it is one that does nothing."""
    prefix = "backbone.stages.0.0.shortcut_norm."
    norm = {name: weights.state[prefix + name] for name in ("weight", "bias")}
    mean = weights.state[prefix + "running_mean"]
    scale = norm["weight"] / (weights.state[prefix + "running_var"] + 1e-5).sqrt()
    if (
        not torch.allclose(scale, torch.ones_like(scale))
        or mean.any()
        or (norm["bias"].any())
    ):
        raise ValueError(
            "PyTorchVideo's X3D has no norm on its first shortcut, and this network's"
            " does something there; write another family's names"
        )
    kept = {n: t for n, t in weights.state.items() if not n.startswith(prefix)}
    return Weights(
        kept, weights.preset, weights.names, weights.renamed, weights.left_out
    )
