"""X3D against the authors' program: every case of x3d_cases.json, and its counts."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ssdet.models import X3DDetector, count_parameters
from ssdet.models.bottleneck import Bottleneck
from ssdet.models.cost import multiply_adds
from ssdet.models.naming import foreign_name
from ssdet.models.sub_batch_norm import SubBatchNorm3d, set_splits
from ssdet.models.x3d import PRESETS, inner_width
from tests.golden.rules import ssdet_clip, ssdet_state

SMALL = 2**17  # clips up to this many numbers are computed in float64


def build(version: str, task: str, classes: int, dropout: float = 0.5) -> X3DDetector:
    depth_factor, width_factor = PRESETS[f"x3d_{version.lower()}"]
    return X3DDetector(
        depth_factor=depth_factor,
        width_factor=width_factor,
        head_width=2048,
        classes=classes,
        dropout=dropout,
        mode=task,
    )


@pytest.mark.golden("x3d_cases.json")
def test_every_case_has_a_file(golden_file):
    cases = json.loads(golden_file.read_text())
    listed = {f"x3d_{case['case']}.npz" for case in cases}
    assert {path.name for path in golden_file.parent.glob("x3d_*.npz")} == listed


@pytest.mark.golden("x3d_*.npz")
def test_network(golden_file):
    listed = json.loads((golden_file.parent / "x3d_cases.json").read_text())
    case = {f"x3d_{case['case']}.npz": case for case in listed}[golden_file.name]
    with np.load(golden_file) as arrays:
        expected = dict(arrays)
    if "loss" in case:
        check_training(case, expected)
    else:
        check_evaluation(case, expected)


def check_evaluation(case, expected):
    exact = np.prod(case["clip"]) <= SMALL
    dtype, atol = (torch.float64, 1e-9) if exact else (torch.float32, 1e-3)
    model = build(case["version"], case["task"], case["n_classes"]).eval()
    model.load_state_dict(ssdet_state(model, case["seed"]))
    model.to(dtype)
    seen = watch(model)
    clip = torch.from_numpy(ssdet_clip(tuple(case["clip"]), case["seed"]))

    clip, stem = clip.float().to(dtype), model.backbone.stem
    with torch.no_grad():
        logits = model(clip)
        stem.temporal(stem.spatial(clip))  # which the compiled stem takes at once

    assert list(logits.shape) == case["out_shape"]
    np.testing.assert_allclose(logits.numpy(), expected["logits"], rtol=0, atol=atol)
    for name, shape in case["stage_shapes"].items():
        assert list(seen[name].shape) == shape, name
        np.testing.assert_allclose(
            statistics(seen[name]),
            expected[f"stat_{name}"],
            rtol=0,
            atol=atol,
            err_msg=name,
        )


def watch(model):
    """Keep what the parts of the network give, by the names of the files."""
    seen = {}

    def keep_output(name):
        return lambda module, inputs, output: seen.update({name: output.clone()})

    def keep_input(name):
        return lambda module, inputs: seen.update({name: inputs[0].clone()})

    backbone, head = model.backbone, model.head
    parts = {"conv_s": backbone.stem.spatial, "conv_t": backbone.stem.temporal}
    parts |= {"stem": backbone.stem, "conv5": backbone}
    parts |= {f"stage{i}": stage for i, stage in enumerate(backbone.stages, 1)}
    for name, part in parts.items():
        part.register_forward_hook(keep_output(name))
    head.fc1.register_forward_pre_hook(keep_input("pool"))
    head.dropout.register_forward_pre_hook(keep_input("fc1"))
    return seen


def statistics(x):
    values = x.double().contiguous().flatten().numpy()
    places = [j * (len(values) - 1) // 23 for j in range(24)]
    summary = [values.mean(), values.std(), np.abs(values).max()]
    return np.array([*summary, *values[places]])


def check_training(case, expected):
    classes, splits = case["n_classes"], case["bn_splits"]
    model = build(case["version"], case["task"], classes, dropout=0.0)
    model.load_state_dict(ssdet_state(model, case["seed"]))
    model.double()
    set_splits(model, splits)
    for module in model.modules():
        if isinstance(module, SubBatchNorm3d) and splits > 1:
            module.split_mean.zero_()
            module.split_var.fill_(1.0)
    clip = torch.from_numpy(ssdet_clip(tuple(case["clip"]), case["seed"]))
    clip = clip.float().double()
    b = torch.arange(clip.shape[0])[:, None]
    t = torch.arange(clip.shape[2])[None]
    labels = (7 * b + 3 * (t // 2) + case["seed"]) % classes

    model.train()
    logits = model(clip)
    loss = F.cross_entropy(logits, labels)
    loss.backward()

    close = {"rtol": 0, "atol": 1e-8}
    np.testing.assert_array_equal(labels, expected["labels"])
    np.testing.assert_allclose(logits.detach(), expected["logits"], **close)
    np.testing.assert_allclose(loss.item(), expected["loss"], **close)
    for key in expected:
        if key.startswith("gradnorm_"):
            norm = gradient_norm(model, key.removeprefix("gradnorm_"))
            np.testing.assert_allclose(norm, expected[key], **close, err_msg=key)
    norms = norms_by_reference_name(model)
    check_statistics(norms, expected, "split", "split")
    with torch.no_grad():
        after = model.eval()(clip)
    check_statistics(norms, expected, "agg", "running")
    np.testing.assert_allclose(after, expected["logits_eval_after_aggregate"], **close)


def gradient_norm(model, part):
    names = {"stem": ("conv1_s.", "conv1_t.", "bn1.")}.get(part, (f"{part}.",))
    squares = [
        parameter.grad.square().sum()
        for name, parameter in model.named_parameters()
        if foreign_name(name, "reference").startswith(names)
    ]
    return torch.stack(squares).sum().sqrt().item()


def norms_by_reference_name(model):
    return {
        foreign_name(f"{name}.weight", "reference").removesuffix(".weight"): module
        for name, module in model.named_modules()
        if isinstance(module, SubBatchNorm3d)
    }


def check_statistics(norms, expected, theirs, ours):
    checked = 0
    for key, value in expected.items():
        for kind in ("mean", "var"):
            suffix = f".{theirs}_running_{kind}"
            if key.endswith(suffix):
                found = getattr(norms[key.removesuffix(suffix)], f"{ours}_{kind}")
                np.testing.assert_allclose(found, value, rtol=0, atol=1e-8)
                checked += 1
    assert checked > 0


@pytest.mark.golden("x3d_counts.json")
def test_counts(golden_file):
    for version, expected in json.loads(golden_file.read_text()).items():
        with torch.device("meta"):
            model = build(version, "loc", 400)
        backbone = model.backbone
        assert list(backbone.depths) == expected["blocks"]
        widths = [[inner_width(out), out] for out in backbone.widths]
        assert widths == expected["widths_mid_out"]
        assert gate_widths(model) == expected["se_reduced_width_per_block"]
        assert len(list(model.parameters())) == expected["n_parameter_tensors"]
        field = 5 + 2 * sum(backbone.depths)
        assert field == expected["temporal_receptive_field"]
        for part, count in expected["params_per_stage"].items():
            modules = parts_of(model)[part]
            assert sum(map(count_parameters, modules)) == count, (version, part)
        for key, value in expected.items():
            if key.startswith("total_params_"):
                check_total(version, int(key.removeprefix("total_params_")), value)
            elif key.startswith("macs_"):
                check_multiply_adds(version, key, value)


def parts_of(model):
    backbone, head = model.backbone, model.head
    parts = {f"stage{i}": [stage] for i, stage in enumerate(backbone.stages, 1)}
    return parts | {
        "stem": [backbone.stem],
        "conv5": [backbone.conv5, backbone.norm5],
        "fc1": [head.fc1],
        "fc2": [head.fc2],
    }


def gate_widths(model):
    return [
        [
            block.squeeze_excite.reduce.out_channels if block.squeeze_excite else 0
            for block in stage
        ]
        for stage in model.backbone.stages
    ]


def check_total(version, classes, expected):
    with torch.device("meta"):
        assert count_parameters(build(version, "loc", classes)) == expected


def check_multiply_adds(version, key, expected):
    """`key` is macs_<task>_<classes>_<frames>x<side>."""
    _, task, classes, size = key.split("_")
    frames, side = map(int, size.split("x"))
    with torch.device("meta"):
        model = build(version, task, int(classes))
        counts = multiply_adds(model, torch.empty(1, 3, frames, side, side))
    assert counts[""] == expected["total"]
    blocks = [
        name for name, module in model.named_modules() if isinstance(module, Bottleneck)
    ]
    for part, value in expected["stages"].items():
        stage = part.removesuffix(".se")
        if not stage.startswith("stage"):
            path = f"head.{part}" if part.startswith("fc") else f"backbone.{part}"
            assert counts[path] == value, (key, part)
            continue
        path = f"backbone.stages.{int(stage.removeprefix('stage')) - 1}"
        gate = sum(
            counts.get(f"{block}.squeeze_excite", 0)
            for block in blocks
            if block.startswith(f"{path}.")
        )
        found = gate if part.endswith(".se") else counts[path] - gate
        assert found == value, (key, part)
