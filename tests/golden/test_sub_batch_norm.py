"""Normalisation over groups against the authors' program."""

import json

import numpy as np
import pytest
import torch

from ssdet.models.sub_batch_norm import SubBatchNorm3d
from tests.golden.rules import split_cases

CLOSE = {"rtol": 0, "atol": 1e-10}


@pytest.mark.golden("sub_batchnorm.npz")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_sub_batch_norm(golden_file, layout):
    cases = json.loads(golden_file.with_suffix(".json").read_text())
    arrays = split_cases(golden_file, ".")
    assert {case["case"] for case in cases} == set(arrays)
    for case in cases:
        expected = arrays[case["case"]]
        if "splits" in case:
            check_passes(case, expected, layout)
        else:
            check_tiling(expected)


def check_passes(case, expected, layout):
    tensors = {name: torch.from_numpy(array) for name, array in expected.items()}
    norm = SubBatchNorm3d(case["C"], case["splits"]).double()
    with torch.no_grad():
        norm.weight.copy_(tensors["weight"])
        norm.bias.copy_(tensors["bias"])
    for step in (0, 1):
        x = tensors[f"x{step}"].contiguous(memory_format=layout)
        assert len(x) == case["B"]
        out = norm(x).detach()
        np.testing.assert_allclose(out, expected[f"y{step}"], **CLOSE)
    several = case["splits"] > 1
    mean, variance = (
        (norm.split_mean, norm.split_var)
        if several
        else (norm.running_mean, norm.running_var)
    )
    np.testing.assert_allclose(mean, expected["split_mean"], **CLOSE)
    np.testing.assert_allclose(variance, expected["split_var"], **CLOSE)
    norm.eval()
    np.testing.assert_allclose(norm.running_mean, expected["agg_mean"], **CLOSE)
    np.testing.assert_allclose(norm.running_var, expected["agg_var"], **CLOSE)
    out = norm(tensors["x1"].contiguous(memory_format=layout)).detach()
    np.testing.assert_allclose(out, expected["y_eval"], **CLOSE)


def check_tiling(expected):
    """Statistics of one split go to each of several as a whole."""
    values = torch.from_numpy(expected["in"])
    state = SubBatchNorm3d(len(values)).double().state_dict()
    state["running_mean"] = values
    splits = len(expected["tiled_out"]) // len(values)
    norm = SubBatchNorm3d(len(values), splits).double()
    norm.load_state_dict(state)
    np.testing.assert_allclose(norm.split_mean, expected["tiled_out"], **CLOSE)
