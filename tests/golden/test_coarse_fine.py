"""The Coarse-Fine network against the authors' program, part by part and whole."""

import copy

import numpy as np
import pytest
import torch

from ssdet.models import CoarseFine, X3DDetector
from ssdet.models.alignment import gaussian_alignment, grid_centres
from ssdet.models.naming import foreign_name
from ssdet.models.x3d import FEATURES
from tests.golden.rules import (
    checksum,
    coarse_fine_clip,
    coarse_fine_feature,
    coarse_fine_state,
    network_size,
    noise,
    split_cases,
)

POOL = 7
FUSION_SALT = 100200  # of the first feature in fusion.npz


def coarse_fine(folder, dropout=0.5):
    table = folder / "state_coarse_fine.json"
    model = CoarseFine(
        **network_size(table),
        dropout=dropout,
        fine_frames=128,
        compat="reference",
        unpool="resize",
        film_init="default",
    )
    model.load_state_dict(coarse_fine_state(table, model))
    return model.eval()


def alone(model):
    """The same weights as a single coarse stream."""
    solo = copy.deepcopy(model)
    solo.fusion = None
    return solo


def fine(folder):
    table = folder / "state_fine.json"
    model = X3DDetector(**network_size(table), dropout=0.5, mode="loc")
    model.load_state_dict(coarse_fine_state(table, model))
    return model.eval()


def assert_close(found, expected, atol, name, rtol=1e-4):
    found = found.detach().numpy() if isinstance(found, torch.Tensor) else found
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol, err_msg=name)


def clip_of(case):
    clip = coarse_fine_clip(tuple(case["shape"]), int(case["salt"]))
    assert_close(checksum(clip), case["chk_x"], 1e-4, "clip", rtol=1e-6)
    return torch.from_numpy(clip)


def features_of(model, mask, first_salt, case=None):
    """The five features of a case, by name; masked where a case is given."""
    batch, frames = mask.shape
    features = {}
    channels = model.trunk.backbone.feature_channels
    for salt, (name, width) in enumerate(channels.items(), first_salt):
        maps = coarse_fine_feature((batch, width, frames, POOL, POOL), salt)
        if case is not None:
            maps = maps * mask[:, None, :, None, None]
            assert_close(checksum(maps), case[f"chk_{name}"], 1e-3, name, rtol=1e-6)
        features[name] = torch.from_numpy(maps)
    return features


def inputs_of(model, case):
    features = features_of(model, case["mask"], int(case["salt"]) + 1, case)
    mask, start = torch.from_numpy(case["mask"]), torch.from_numpy(case["start"])
    return clip_of(case), features, mask, start


@pytest.mark.golden("fine_tower.npz")
def test_fine_tower(golden_file):
    model = fine(golden_file.parent)
    for name, case in split_cases(golden_file).items():
        with torch.no_grad():
            maps, logits = model.features_and_logits(clip_of(case), POOL)
        assert_close(logits, case["logits"], 5e-5, name)
        for feature in FEATURES:
            expected = case[feature]
            found = maps[feature]
            assert found.shape[3:] == (POOL, POOL)
            if expected.ndim == 3:
                found = found.mean((3, 4))
            assert_close(found, expected, 5e-5, f"{name}/{feature}")


@pytest.mark.golden("fusion.npz")
def test_fusion(golden_file):
    model = coarse_fine(golden_file.parent)
    fusion = model.fusion
    with np.load(golden_file) as arrays:
        case = dict(arrays)
    features = features_of(model, case["mask"], FUSION_SALT)
    for name, maps in features.items():
        found = checksum(maps.numpy())
        assert_close(found, case[f"chk_{name}"], 1e-3, name, rtol=1e-6)
    mask = torch.from_numpy(case["mask"])
    grid, start = torch.from_numpy(case["g"]), torch.from_numpy(case["start"])
    centres = grid_centres(grid, int(case["T"]), start, "reference")
    alignment = gaussian_alignment(centres, mask)
    assert_close(alignment, case["G"], 1e-5, "G")
    depths = [features[name] for name in FEATURES[:4]]
    with torch.no_grad():
        shifts, scales = fusion.at_depths(depths, mask, alignment)
        shift, scale = fusion.logits.of_logits(features["conv5"], mask, alignment)
    assert_close(shift, case["rw6/shift"], 2e-5, "rw6/shift")
    assert_close(scale, case["rw6/scale"], 2e-5, "rw6/scale")
    for stage in range(4):
        depth = stage + 2
        assert_close(shifts[stage], case[f"rw{depth}/shift7"], 2e-5, f"rw{depth}")
        assert_close(scales[stage], case[f"rw{depth}/scale7"], 2e-5, f"rw{depth}")
        expected = case[f"mix{depth}/shift"]
        size = expected.shape[3:]
        with torch.no_grad():
            shift, scale = fusion.for_stage(stage, shifts, scales, size)
        assert_close(replicate(shift, size), expected, 2e-5, f"mix{depth}/shift")
        expected = case[f"mix{depth}/scale"]
        assert_close(replicate(scale, size), expected, 2e-5, f"mix{depth}/scale")


def replicate(maps, size):
    for axis, length in zip((3, 4), size, strict=True):
        maps = maps.repeat_interleave(length // maps.shape[axis], axis)
    return maps


@pytest.mark.golden("coarse_fine_eval.npz")
def test_evaluation(golden_file):
    model = coarse_fine(golden_file.parent)
    for name, case in split_cases(golden_file).items():
        record = {}
        inputs = inputs_of(model, case)
        with torch.no_grad():
            logits = model(*inputs, record=record)
        found = {
            "logits": logits,
            "conf_logit": record["confidence"],
            "g": record["grid"],
            "G": record["alignment"],
            "pooled_mean": record["pooled"].mean((3, 4)),
            "bn5_mean": record["conv5"].mean((3, 4)),
            "head_logits": record["head_logits"],
            "rw6_shift": record["shift"],
            "rw6_scale": record["scale"],
        }
        for layer in FEATURES[:4]:
            found[f"{layer}_mean"] = record[layer].mean((3, 4))
        for key, value in found.items():
            assert_close(value, case[key], 1e-4, f"{name}/{key}")
        with torch.no_grad():
            solo = alone(model)(inputs[0])
        assert_close(solo, case["solo_logits"], 1e-4, f"{name}/solo_logits")


def first_case(folder):
    """The one whose inputs the other files use."""
    return min(split_cases(folder / "coarse_fine_eval.npz").items())[1]


@pytest.mark.golden("coarse_fine_grad.npz")
def test_gradients(golden_file):
    folder = golden_file.parent
    model = coarse_fine(folder)
    case = first_case(folder)
    with np.load(golden_file) as arrays:
        expected = dict(arrays)
    clip, features, mask, start = inputs_of(model, case)
    for maps in features.values():
        maps.requires_grad_()
    logits = model(clip, features, mask, start)
    weights = noise(logits.numel(), int(expected["R_salt"])).reshape(logits.shape)
    loss = 100 * (logits * torch.from_numpy(weights.astype(np.float32))).mean()
    loss.backward()

    assert_close(loss.item(), expected["loss"], 1e-4, "loss")
    gradients = {
        foreign_name(name, "reference"): parameter.grad.numpy()
        for name, parameter in model.named_parameters()
    }
    assert set(gradients) == set(expected["param_names"].tolist())
    norms = dict(zip(expected["param_names"], expected["grad_norm"], strict=True))
    for name, norm in norms.items():
        found = np.linalg.norm(gradients[name].astype(np.float64))
        if norm > 0:
            assert_close(found, norm, 1e-7, name, rtol=2e-3)
    for key, value in expected.items():
        kind, _, name = key.partition("/")
        if kind == "grad":
            found = gradients[name]
        elif kind == "dfeat_mean":
            found = features[name].grad.sum((3, 4)).numpy()
        else:
            continue
        assert_close(found, value, 1e-3 * np.abs(value).max(), key, rtol=0)


@pytest.mark.golden("coarse_fine_train.npz")
def test_training_pass(golden_file):
    folder = golden_file.parent
    model = coarse_fine(folder, dropout=0.0).train()
    with np.load(golden_file) as arrays:
        expected = dict(arrays)
    with torch.no_grad():
        logits = model(*inputs_of(model, first_case(folder)))
    assert_close(logits, expected["logits"], 2e-3, "logits")
    state = {foreign_name(k, "reference"): v for k, v in model.state_dict().items()}
    for key, value in expected.items():
        kind, _, name = key.partition("/")
        if kind.startswith("new_"):
            statistic = kind.removeprefix("new_")
            assert_close(state[f"{name}.{statistic}"], value, 1e-4, key)
