"""Grid Pool, Grid Unpool and the alignment against the authors' program."""

import numpy as np
import pytest
import torch

from ssdet.models.alignment import even_centres, gaussian_alignment, grid_centres
from ssdet.models.grid_pool import sampling_grid
from ssdet.models.grid_unpool import grid_unpool, inverse_grid
from ssdet.models.time_sampling import read_at
from tests.golden.rules import split_cases


def tensors_of(golden_file):
    for name, arrays in split_cases(golden_file).items():
        tensors = {key: torch.from_numpy(value) for key, value in arrays.items()}
        yield name, tensors


def assert_close(found, expected, atol, name):
    np.testing.assert_allclose(
        found.detach(), expected, rtol=1e-4, atol=atol, err_msg=name
    )


@pytest.mark.golden("grid_pool.npz")
def test_grid_pool(golden_file):
    for name, case in tensors_of(golden_file):
        z, x = case["z"].requires_grad_(), case["x"].requires_grad_()
        grid = sampling_grid(z)
        out = read_at(x, grid * (x.shape[2] - 1))
        (out * case["R"]).sum().backward()
        assert_close(grid, case["g"], 2e-6, name)
        assert_close(out, case["out"], 1e-4, name)
        assert_close(z.grad, case["dz"], 1e-4, name)
        assert_close(x.grad, case["dx"], 1e-4, name)


@pytest.mark.golden("grid_unpool.npz")
def test_grid_unpool(golden_file):
    for name, case in tensors_of(golden_file):
        z, x = case["z"].requires_grad_(), case["x"].requires_grad_()
        bins = z.shape[1]
        grid = sampling_grid(z)
        fractions = inverse_grid(grid, torch.arange(bins + 1) / bins)
        even = read_at(x, fractions * bins)
        out = grid_unpool(x, grid, "resize")
        (out * case["R"]).sum().backward()
        assert_close(grid, case["g"], 5e-5, name)
        assert_close(fractions, case["s"], 5e-5, name)
        assert_close(even, case["unpooled"], 5e-5, name)
        assert_close(out, case["up"], 5e-5, name)
        assert_close(x.grad, case["dx"], 5e-5, name)
        if "dz" in case:
            assert_close(z.grad, case["dz"], 5e-5, name)


@pytest.mark.golden("gaussian.npz")
def test_gaussian(golden_file):
    for name, case in tensors_of(golden_file):
        if "g" in case:
            frames = int(case["T"])
            centres = grid_centres(case["g"], frames, case["start"], "reference")
        else:
            count = int(case["Tc"])
            centres = even_centres(count, 4, case["start"], "reference")
        found = gaussian_alignment(centres, case["mask"])
        assert_close(found, case["G"], 1e-5, name)
