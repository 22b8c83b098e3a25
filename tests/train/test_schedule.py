import pytest

from ssdet.config import FineConfig, PretrainConfig
from ssdet.train.schedule import one_cycle, rate_at, reference_rates, step_rate

OPTIMIZER = {
    "batch_size": 8,
    "bn_group": 4,
    "frames": 16,
    "optimizer": "sgd",
    "learning_rate": 0.4,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "schedule": "step",
    "drop_factor": 0.1,
    "clip_norm": None,
    "ema": None,
    "frozen_norm": False,
    "validate_every": 1,
}


def pretrain(**changes):
    return PretrainConfig.model_validate(
        {
            **OPTIMIZER,
            "init": None,
            "stride": 5,
            "steps": 20,
            "warmup_steps": 4,
            "drop_steps": [10, 15],
            "multigrid": {"long_cycle": False, "short_cycle": False},
            "copy_rows": False,
            **changes,
        }
    )


def fine(**changes):
    return FineConfig.model_validate(
        {
            **OPTIMIZER,
            "epochs": 4,
            "warmup_epochs": 0.5,
            "drop_epochs": [2],
            "clips_per_video": 1,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.1), (3, 0.4), (4, 0.4), (9, 0.4), (10, 0.04), (15, 0.004), (19, 0.004)],
)
def test_warm_up_and_drops(step, rate):
    assert step_rate(step, 0.4, 4, (10, 15), 0.1) == pytest.approx(rate)
    found = rate_at(pretrain(), step, steps=20, steps_per_unit=1)
    assert found == pytest.approx(rate)


def test_no_warm_up():
    assert step_rate(0, 0.4, 0, (), 0.1) == 0.4
    assert one_cycle(0, 0.4, 0, 1) == pytest.approx(0.2)


@pytest.mark.parametrize(("step", "rate"), [(0, 0.1), (3, 0.4), (15, 0.4), (16, 0.04)])
def test_epochs_are_turned_into_steps(step, rate):
    found = rate_at(fine(), step, steps=32, steps_per_unit=8)
    assert found == pytest.approx(rate)


def test_one_cycle_rises_and_falls():
    config = pretrain(schedule="one_cycle")
    rates = [rate_at(config, step, steps=20, steps_per_unit=1) for step in range(20)]
    assert rates[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert one_cycle(11, 0.4, 4, 19) == pytest.approx(0.2)  # half way down
    assert 0 < rates[-1] < 0.01
    assert one_cycle(20, 0.4, 4, 20) == pytest.approx(0)


def test_released_warm_up_forgets_the_backbone():
    assert reference_rates(1, 0.4, 4, (), 0.1) == pytest.approx((0.4, 0.04))
    assert reference_rates(2, 0.4, 4, (), 0.1) == pytest.approx((0.3, 0.3))
