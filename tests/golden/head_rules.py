"""The closed-form rules of the heads' reference files, and their names for weights.

README of tests/golden/heads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

PRIME = 2147483647


def heads_values(seed: int, k: int, count: int) -> np.ndarray:
    """g(seed, k, i) for i = 0 .. count - 1, in [-1, 1]."""
    i = np.arange(count, dtype=np.int64)
    x0 = ((i + 1) * 1664525 + (k + 1) * 22695477 + (seed + 1) * 69069) % PRIME
    x1 = (x0 * x0 + 12345) % PRIME
    x2 = (x1 * 48271) % PRIME
    x3 = (x2 * x2 + x0) % PRIME
    return 2 * x3 / PRIME - 1


def heads_tensor(seed: int, k: int, shape: Sequence[int]) -> torch.Tensor:
    """The same, shaped."""
    values = heads_values(seed, k, int(np.prod(shape)))
    return torch.from_numpy(values.reshape(shape))


def heads_input(recipe: dict) -> torch.Tensor:
    """The features of a case, 0 after each video's end; float64."""
    x = heads_tensor(recipe["seed"], recipe["k"], recipe["shape"])
    for sample, first in enumerate(recipe["zero_from"] or []):
        x[sample, ..., first:] = 0
    return x


def load_table(model: nn.Module, case: dict) -> None:
    """Give a model the weights of a case, by name; it becomes float64."""
    model.double().eval()
    kind = case["config"]["kind"]
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    state: dict[str, torch.Tensor] = {}
    parts: dict[str, dict[int, torch.Tensor]] = {}
    for k, theirs, shape, offset, scale in case["table"]:
        values = offset + scale * heads_tensor(case["seed"], k, shape)
        ours = our_name(theirs, kind)
        mixed = re.search(r"convs\.(\d+)\.(weight|bias)$", theirs)
        if mixed:  # one map for each output, of which we make one layer
            parts.setdefault(ours, {})[int(mixed[1])] = values.flatten()
        else:
            state[ours] = values.reshape(shapes[ours])
    for name, rows in parts.items():
        stacked = torch.stack([rows[i] for i in range(len(rows))])
        state[name] = stacked.reshape(shapes[name])
    model.load_state_dict(state)


def our_name(theirs: str, kind: str) -> str:
    """Our name of a published weight of a kind of head."""
    for pattern, ours in RENAMES[kind]:
        theirs = re.sub(pattern, ours, theirs)
    return theirs


def _one_less(prefix: str):
    return lambda found: f"{prefix}{int(found[1]) - 1}"


TERM = [
    (r"^cls_wts$", "term.choice"),
    (r"^sup_mat$", "term.weight"),
    (r"^super_event\.", "term.banks.0."),
    (r"^super_event2\.", "term.banks.1."),
]
TGM_LAYER = [
    (r"\b(center|delta|gamma)$", r"windows.\1"),
    (r"soft_attn$", "attention"),
    (r"convs\.\d+\.", "mix."),
]
THREE_TGM = [
    (r"^sub_event(\d)", _one_less("layers.")),
    (r"^(layers\.\d)\.(center|delta|gamma)$", r"\1.windows.\2"),
    *TGM_LAYER[1:],
    (r"^h\.", "hidden."),
]
ATTENTION = [(r"(key|query|value)_conv\.", r"\1."), (r"rel_t$", "offset")]
RENAMES: dict[str, list] = {
    "structure_filter_cauchy": [],
    "super_events": [*TERM, (r"^per_frame\.", "classify.")],
    "tgm_layer_cauchy": TGM_LAYER,
    "three_tgm": THREE_TGM,
    "three_tgm_plus_super_events": [*TERM, *THREE_TGM],
    "dilated_attention_layer": ATTENTION,
    "pdan": [
        (r"^stages\.(\d+)\.", lambda found: f"stages.{int(found[1]) + 1}."),
        (r"^stage1\.", "stages.0."),
        (r"^(stages\.\d+)\.conv_1x1\.", r"\1.entry."),
        (r"conv_out\.", "classify."),
        (r"layers\.(\d+)\.conv_1x1\.", r"project.\1."),
        (r"layers\.(\d+)\.conv_attention\.", r"attention.\1."),
        *ATTENTION,
    ],
    "mstct": [
        (r"^Classfication_Module\.hm\.", "heat_map."),
        (r"^Classfication_Module\.linear_fuse\.", "fuse."),
        (r"^Classfication_Module\.linear_pred\.", "classify."),
        (r"^Temporal_Mixer\.linear_f(\d)\.proj", _one_less("mixer.project.")),
        (r"^Temporal_Mixer\.linear(\d)", _one_less("mixer.align.")),
        (r"^TemporalEncoder\.(?=Temporal|norm|block)", "encoder.stages."),
        (r"Temporal_Merging_Block(\d)\.proj", lambda f: f"{int(f[1]) - 1}.merge"),
        (r"Temporal_Merging_Block(\d)\.norm", lambda f: f"{int(f[1]) - 1}.merge_norm"),
        (r"stages\.norm(\d)", lambda f: f"stages.{int(f[1]) - 1}.norm"),
        (r"stages\.block(\d)", lambda f: f"stages.{int(f[1]) - 1}.blocks"),
        (r"Global_Relational_Block\.q\b", "attention.query"),
        (r"Global_Relational_Block\.kv\b", "attention.key_value"),
        (r"Global_Relational_Block\.proj\b", "attention.project"),
        (r"Local_Relational_Block\.linear1", "local.widen"),
        (r"Local_Relational_Block\.TC", "local.neighbours"),
        (r"Local_Relational_Block\.linear2", "local.narrow"),
    ],
}
