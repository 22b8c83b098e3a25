"""Steps that stand for the 25 instants."""

import numpy as np
import pytest

from ssdet.evaluate.instants import instant_steps


def test_fewer_steps_than_instants():
    assert instant_steps(1).tolist() == [0] * 25
    assert instant_steps(5).tolist() == sorted(list(range(5)) * 5)
    assert instant_steps(5, "nearest").max() == 4


def test_as_many_steps_as_instants():
    for rule in ("floor", "nearest"):
        assert instant_steps(25, rule).tolist() == list(range(25))


def test_floor_is_computed_in_whole_numbers():
    huge = 10**15 + 1
    assert instant_steps(huge).tolist() == [j * huge // 25 for j in range(25)]


def test_nearest_is_never_further_away_than_floor():
    for steps in range(1, 300):
        times = np.arange(25) / 25 * steps
        nearest, floor = instant_steps(steps, "nearest"), instant_steps(steps)
        assert (abs(nearest - times) <= abs(floor - times) + 1e-9).all()


def test_the_shortcut_stops_short_of_the_end():
    assert instant_steps(74, "every_kth_from_1").tolist() == list(range(1, 50, 2))
    with pytest.raises(ValueError, match="needs more than 25 steps, the video has 25"):
        instant_steps(25, "every_kth_from_1")
