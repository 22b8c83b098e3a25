import pytest
import torch

from ssdet.models.lateral import Lateral


@pytest.mark.parametrize(("frames", "count"), [(1, 1), (4, 1), (5, 2), (13, 4)])
def test_one_slow_frame_for_four_fast_ones(frames, count):
    fast = torch.randn(2, 3, frames, 5, 6)
    assert Lateral(3)(fast).shape == (2, 6, count, 5, 6)


@pytest.mark.parametrize(
    ("tap", "expected"),
    [(0, [0, 2, 6]), (2, [0, 4, 8]), (4, [2, 6, 0])],
    ids=["two before", "its own", "two after"],
)
def test_a_slow_frame_sees_the_fast_ones_around_its_own(tap, expected):
    """Fast frame t holds the value t; outside the clip there are zeros."""
    lateral = Lateral(1).eval()
    with torch.no_grad():
        lateral.convolution.weight.zero_()[:, 0, tap] = 1.0
        found = lateral(torch.arange(10.0).view(1, 1, 10, 1, 1))
    for channel in found[0].flatten(1).tolist():
        assert channel == pytest.approx(expected, rel=1e-4)


def test_nothing_below_zero_is_joined():
    assert (Lateral(2)(torch.randn(1, 2, 8, 2, 2)) >= 0).all()
