"""What other programs call our tensors, and reading weights they saved.

Families: `reference` (the authors' Coarse-Fine and SSDet programs), `slowfast` and
`pytorchvideo` (the public X3D weights; single-stream networks only).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from ssdet.models.sub_batch_norm import EPS

Family = Literal["reference", "slowfast", "pytorchvideo"]

# Ours -> theirs, part of a block by part; {} is nothing in the first block of a stage.
_BLOCK: dict[str, tuple[str, str, str]] = {
    "expand": ("conv1", "branch2.a", "branch2.conv_a"),
    "expand_norm": ("bn1", "branch2.a_bn", "branch2.norm_a"),
    "depthwise": ("conv2", "branch2.b", "branch2.conv_b"),
    "depthwise_norm": ("bn2", "branch2.b_bn", "branch2.norm_b.0"),
    "squeeze_excite.reduce": ("fc1", "branch2.se.fc1", "branch2.norm_b.1.block.0"),
    "squeeze_excite.expand": ("fc2", "branch2.se.fc2", "branch2.norm_b.1.block.2"),
    "project": ("conv3", "branch2.c", "branch2.conv_c"),
    "project_norm": ("bn3", "branch2.c_bn", "branch2.norm_c"),
    "shortcut": ("downsample.0", "branch1", "branch1_conv"),
    "shortcut_norm": ("downsample.1", "branch1_bn", "branch1_norm"),
}
# PyTorchVideo's stem calls its spatial convolution conv_t, its temporal one conv_xy.
_AROUND: dict[str, tuple[str, str, str]] = {
    "backbone.stem.spatial": (
        "conv1_s",
        "s1.pathway0_stem.conv_xy",
        "blocks.0.conv.conv_t",
    ),
    "backbone.stem.temporal": (
        "conv1_t",
        "s1.pathway0_stem.conv",
        "blocks.0.conv.conv_xy",
    ),
    "backbone.stem.norm": ("bn1", "s1.pathway0_stem.bn", "blocks.0.norm"),
    "backbone.conv5": ("conv5", "head.conv_5", "blocks.5.pool.pre_conv"),
    "backbone.norm5": ("bn5", "head.conv_5_bn", "blocks.5.pool.pre_norm"),
    "head.fc1": ("fc1", "head.lin_5", "blocks.5.pool.post_conv"),
    "head.fc2": ("fc2", "head.projection", "blocks.5.proj"),
}
_STAGE = ("layer{stage}.{block}", "s{next}.pathway0_res{block}")
_STAGE_PYTORCHVIDEO = "blocks.{stage}.res_blocks.{block}"
_FAMILIES: tuple[Family, ...] = ("reference", "slowfast", "pytorchvideo")
# Coarse-Fine, ours -> reference.
_POINTWISE = {
    "attention.hidden": "at1",
    "attention.out": "at2",
    "shift.hidden": "fc1",
    "shift.out": "fc2",
    "scale.hidden": "fc3",
    "scale.out": "fc4",
}
_MIX = {"shift": "conv_at", "scale": "conv_at2"}
_COUNTERS = ("num_batches_tracked",)


def foreign_name(name: str, family: Family) -> str:
    """The name that another program gives one of our tensors.

    Args:
        name: from the state of an `X3DDetector` or a `CoarseFine`.
        family: whose name to give.

    Raises:
        KeyError: that family has no such tensor.
    """
    module, _, leaf = name.removeprefix("trunk.").rpartition(".")
    return f"{_module(module, family)}.{leaf}"


def _module(module: str, family: Family) -> str:
    which = _FAMILIES.index(family)
    if module in _AROUND:
        return _AROUND[module][which]
    kind, *parts = module.split(".")
    if kind == "backbone":  # backbone.stages.<stage>.<block>.<part>
        stage, block = int(parts[1]), parts[2]
        stems = (*_STAGE, _STAGE_PYTORCHVIDEO)
        stem = stems[which].format(stage=stage + 1, next=stage + 2, block=block)
        return f"{stem}.{_BLOCK['.'.join(parts[3:])][which]}"
    if family != "reference":
        raise KeyError(f"{family} has no {module}")
    if kind == "grid_pool":
        return f"pool_1.{parts[0].replace('norm', 'bn')}"
    if parts[0] == "logits":
        return f"rw6.{_POINTWISE['.'.join(parts[1:])]}"
    depth = int(parts[1]) + 2
    if parts[0] == "depths":
        return f"rw{depth}.{_POINTWISE['.'.join(parts[2:])]}"
    return f"mix{depth}.{_MIX[parts[2]]}"


def import_state(
    state: Mapping[str, Tensor], model: nn.Module, family: Family
) -> dict[str, Tensor]:
    """Rename another program's weights to ours.

    The reference's split statistics and all batch counters are left out, its evaluation
    statistics are taken; layers that one program writes as linear and the other as
    1 x 1 x 1 convolution are reshaped; PyTorchVideo has no norm on the first shortcut,
    and gets the one that changes nothing.

    Args:
        state: their names and tensors. The classifier may have other classes than
            `model`; its tensors are then returned as they are.
        model: an `X3DDetector` or `CoarseFine` of the size of the weights.
        family: whose names `state` has.

    Returns:
        A state for `model` (strictly, if the classes are the same).

    Raises:
        ValueError: tensors are missing, left over or of another shape; all are listed.
    """
    theirs = {
        _plain(name) if family == "reference" else name: tensor
        for name, tensor in state.items()
        if not name.endswith(_COUNTERS) and ".split_bn." not in name
    }
    own = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.endswith(("split_mean", "split_var"))
    }
    if family == "pytorchvideo":
        theirs = {**_neutral_norm(own), **theirs}
    names = {ours: foreign_name(ours, family) for ours in own}
    problems = [f"no {name}" for name in names.values() if name not in theirs]
    problems += [f"unknown {name}" for name in _left_over(theirs, names.values())]
    imported = {}
    for ours, name in names.items():
        if name in theirs:
            tensor = _with_axes_of(theirs[name], own[ours])
            if tensor.shape != own[ours].shape and ".fc2." not in ours:
                problems.append(
                    f"{name} is {tuple(tensor.shape)}, not {tuple(own[ours].shape)}"
                )
            imported[ours] = tensor
    if problems:
        raise ValueError(
            f"these are not {family} weights of this network ({len(problems)}"
            f" differences): {'; '.join(problems[:20])}"
        )
    return imported


def _plain(name: str) -> str:
    """The name of a running statistic without the reference's inner module."""
    return name.replace(".bn.running_", ".running_")


def _left_over(found: Iterable[str], known: Iterable[str]) -> list[str]:
    return sorted(set(found) - set(known))


def _with_axes_of(tensor: Tensor, like: Tensor) -> Tensor:
    """Add or drop trailing axes of length 1."""
    while tensor.ndim < like.ndim:
        tensor = tensor[..., None]
    while tensor.ndim > like.ndim and tensor.shape[-1] == 1:
        tensor = tensor[..., 0]
    return tensor


def _neutral_norm(own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The first shortcut's norm as identity, under PyTorchVideo's names."""
    values = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1 - EPS}
    ours = "backbone.stages.0.0.shortcut_norm"
    trunk = "trunk." if f"trunk.{ours}.weight" in own else ""
    return {
        foreign_name(f"{ours}.{leaf}", "pytorchvideo"): torch.full_like(
            own[f"{trunk}{ours}.{leaf}"], value
        )
        for leaf, value in values.items()
    }
