"""What the lines of a run say of its time."""

import json

import pytest

from ssdet.train.metrics_log import timing


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], (0, 0.0, 0.0, 0.0)),
        ([{"step": 1, "waited_s": 3.0, "step_s": 4.0}], (1, 4.0, 3.0, 0.75)),
        (
            [
                {"step": 1, "waited_s": 1.0, "step_s": 2.0},
                {"step": 1, "clean_accuracy": 0.5},  # a validation took no step
                {"step": 2, "waited_s": 0.5, "step_s": 4.0},
            ],
            (2, 6.0, 1.5, 0.25),
        ),
    ],
)
def test_timing(tmp_path, lines, expected):
    path = tmp_path / "checkpoint.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    names = ("steps", "steps_s", "waited_s", "data_wait_share")
    assert timing(path) == dict(zip(names, expected, strict=True))
