import math

import pytest
import torch

from ssdet.models.structure_filter import StructureFilters


def filters_at(center, gamma, kernel="cauchy"):
    filters = StructureFilters(1, kernel).double()
    with torch.no_grad():
        filters.center.fill_(center)
        filters.gamma.fill_(gamma)
    return filters


def test_a_cauchy_window_by_hand():
    # the centre of 3 steps is 1; its width is exp(1.5)
    width = math.exp(1.5)
    raw = [1 / (1 + 1 / width**2), 1, 1 / (1 + 1 / width**2)]
    found = filters_at(0, 0)(torch.tensor([3]), 3, "fixed").flatten().tolist()
    assert found == pytest.approx([v / sum(raw) for v in raw], abs=1e-5)


def test_a_gaussian_window_by_hand():
    # variance 2: exp(-1 / 4) beside the centre
    raw = [math.exp(-1 / 4), 1, math.exp(-1 / 4)]
    window = filters_at(0, math.log(2), "gaussian")(torch.tensor([3]), 3, "fixed")
    assert window.flatten().tolist() == pytest.approx([v / sum(raw) for v in raw])


@pytest.mark.parametrize("kernel", ["cauchy", "gaussian"])
def test_windows_keep_to_the_real_steps(kernel):
    filters = filters_at(5, 0, kernel)  # near the last step
    short, long = filters(torch.tensor([3, 8]), 8, "fixed")[:, 0]
    assert short.argmax() == 2
    assert long.argmax() == 7
    assert short[3:].tolist() == [0] * 5
    assert short.sum().item() == pytest.approx(1, abs=1e-5)
    assert filters(torch.tensor([3]), 8, "reference")[0, 0, 3:].min() > 0


def test_a_sequence_of_one_step():
    for kernel in ("cauchy", "gaussian"):
        window = filters_at(0.7, 0.3, kernel)(torch.tensor([1]), 4, "fixed")
        assert window.flatten().tolist() == pytest.approx([1, 0, 0, 0], abs=1e-4)


def test_narrowest_and_widest():
    """The width's bounds are exp(1.5) and exp(-0.5), whatever gamma's sign."""
    for gamma in (40.0, -40.0):
        windows = filters_at(0, gamma)(torch.tensor([3]), 3, "fixed").flatten()
        ratio = windows[1] / windows[0]
        assert ratio.item() == pytest.approx(1 + math.exp(0.5) ** 2)


def test_half_precision_is_worked_out_in_full():
    with torch.autocast("cpu", torch.bfloat16):
        window = StructureFilters(2, "cauchy")(torch.tensor([5]), 5, "fixed")
    assert window.dtype == torch.float32


def test_another_kernel_is_refused():
    with pytest.raises(ValueError, match="'cauchy' or 'gaussian', got 'box'"):
        StructureFilters(1, "box")
