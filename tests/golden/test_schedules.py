"""Learning rates, and shapes of multigrid batches: schedules.json."""

import json

import pytest

from ssdet.data.clips import Shape
from ssdet.train.multigrid import long_index, long_shape, short_shape
from ssdet.train.schedule import reference_rates, step_rate

FACTOR = 0.1  # of the rate, at each milestone


@pytest.mark.golden("schedules.json")
def test_learning_rates(golden_file):
    case = json.loads(golden_file.read_text())["lr"]
    recipe = case["base"], case["warmup"], case["milestones"], FACTOR
    for step, rate in case["recommended"].items():
        assert step_rate(int(step), *recipe) == pytest.approx(rate, rel=1e-9)
    for step, rates in case["reference_literal_head_backbone"].items():
        found = reference_rates(int(step), *recipe)
        assert list(found) == pytest.approx(rates, rel=1e-9)


@pytest.mark.golden("schedules.json")
def test_multigrid(golden_file):
    runs = json.loads(golden_file.read_text())
    for run in (run for run in runs.values() if "schedule" in run):
        _, *ends = run["schedule"]
        first = run["start_iteration"]
        base = Shape(run["base_batch"], frames=16, crop=224, groups=1)
        for key, short in (("with_short_cycle", True), ("long_cycle_only", False)):
            expected = run[key]
            indices = [long_index(step, ends) for step in range(first, ends[-1])]
            assert indices == expected["long_index"]
            shapes = [long_shape(base, index) for index in indices]
            if short:
                shapes = [
                    short_shape(shape, index, step)
                    for step, (shape, index) in enumerate(
                        zip(shapes, indices, strict=True)
                    )
                ]
            assert [shape.batch for shape in shapes] == expected["batch"]
