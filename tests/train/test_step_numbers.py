"""Numbers of steps read one step late, as on a GPU: nothing else changes."""

import itertools
import os
import signal

import pytest
import torch

from ssdet.stage import StageError
from ssdet.train import pretrain, step_numbers
from ssdet.train.checkpoint import load_checkpoint, resume_folder
from ssdet.train.distributed import World
from ssdet.train.metrics_log import MetricsLog
from ssdet.train.step_numbers import StepNumbers
from tests.train.test_kill import lines
from tests.train.test_loop import pretraining

WORLD = World(0, 1, torch.device("cpu"))


@pytest.fixture
def late(monkeypatch):
    monkeypatch.setattr(step_numbers, "reads_late", lambda device: True)


@pytest.fixture
def clock(monkeypatch):
    """Each moment is a second after the one before."""
    ticks = itertools.count()
    monkeypatch.setattr(step_numbers, "_moment", lambda device: float(next(ticks)))


def give(numbers, done, loss, stops=False, dues=False, waited_s=0.25, **more):
    numbers.begin()
    more = {name: torch.tensor(value) for name, value in more.items()}
    loss = torch.tensor(loss, dtype=torch.float64)
    numbers.give(done, loss, more, stops, dues, 0.1, waited_s)


def test_at_once(clock):
    numbers = StepNumbers(WORLD)
    give(numbers, 1, 0.7, stops=True, norm=2.0)
    (step,) = numbers.read()
    assert (step.done, step.loss, step.stops, step.dues) == (1, 0.7, 1, 0)
    # a second of work behind a quarter of waiting; the loss has all its digits
    assert step.line == {
        **{"loss": 0.7, "rate": 0.1, "waited_s": 0.25, "step_s": 1.25},
        **{"norm": 2.0},
    }
    assert numbers.read() == []


def test_one_step_late(clock, late):
    numbers = StepNumbers(WORLD)
    found = []
    for done in (1, 2, 3):
        give(numbers, done, done / 2, dues=done == 2)
        found.append([step.done for step in numbers.read()])
    assert found == [[], [1], [2]]
    (last,) = numbers.read(everything=True)
    assert (last.done, last.loss, last.dues) == (3, 1.5, 0)


def test_the_seconds_of_steps_add_up(clock, late):
    """Six moments, 0 to 5: the device idles for a second before each later step.

    A longer wait was for data that it did not need yet.
    """
    numbers = StepNumbers(WORLD)
    for done in (1, 2, 3):
        give(numbers, done, 1.0, waited_s=(0.5, 9.0, 0.25)[done - 1])
    found = numbers.read(everything=True)
    assert [step.line["waited_s"] for step in found] == [0.5, 1.0, 0.25]
    assert [step.line["step_s"] for step in found] == [1.5, 2.0, 2.0]
    give(numbers, 4, 1.0)  # after other work, which does not count
    assert numbers.read(everything=True)[0].line["step_s"] == 1.25


def test_a_run_is_the_same(tiny, tmp_path, monkeypatch):
    """Checkpoint and metrics, with states saved between validations, and clipping."""
    values = {"steps": 5, "validate_every": 3, "clip_norm": 1.0, "ema": 0.9}
    for name in ("at_once", "late"):
        pretrain.main(pretraining(tiny, tmp_path / f"{name}.pt", **values))
        monkeypatch.setattr(step_numbers, "reads_late", lambda device: True)
    at_once, late = tmp_path / "at_once.pt", tmp_path / "late.pt"
    assert late.read_bytes() == at_once.read_bytes()
    assert lines(late) == lines(at_once)


def test_a_stopped_run_goes_on(tiny, tmp_path, late, monkeypatch):
    """The signal is noticed a step later, and nothing is lost."""
    values = {"steps": 6, "validate_every": 6}
    whole, cut = tmp_path / "whole.pt", tmp_path / "cut.pt"
    pretrain.main(pretraining(tiny, whole, **values))
    write = MetricsLog.write

    def write_and_stop(self, step, **given):
        write(self, step, **given)
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "write", write_and_stop)
        with pytest.raises(SystemExit) as caught:
            pretrain.main(pretraining(tiny, cut, **values))
    assert caught.value.code == 143
    (state,) = resume_folder(cut).glob("step-*.pt")
    assert 3 <= int(state.name[5:14]) < 6
    pretrain.main(pretraining(tiny, cut, **values))
    assert cut.read_bytes() == whole.read_bytes()
    assert lines(cut) == lines(whole)


@pytest.mark.parametrize("seconds", ["0", "1000"])
def test_a_loss_that_is_not_finite_is_never_saved(tiny, tmp_path, late, seconds):
    """The message names the step at which it was met, however late it is read."""
    out = tmp_path / "c.pt"
    wild = {"steps": 8, "validate_every": 8, "learning_rate": 1e30}
    arguments = pretraining(tiny, out, **wild)
    arguments[arguments.index("--checkpoint-seconds") + 1] = seconds
    with pytest.raises(
        StageError, match=r"pretrain: .* at step [1-3]\. Lower pretrain"
    ):
        pretrain.main(arguments)
    assert not out.exists()
    for state in resume_folder(out).glob("step-*.pt"):
        weights = torch.load(state, weights_only=True)["parts"]["model"]
        assert all(tensor.isfinite().all() for tensor in weights.values())


def test_the_last_step_is_read_before_the_end(tiny, tmp_path, late):
    out = tmp_path / "c.pt"
    pretrain.main(pretraining(tiny, out, steps=2, validate_every=9))
    assert [row["step"] for row in lines(out)] == [1, 2, 2]  # the last: a validation
    assert load_checkpoint(out)["stage"] == "pretrain"
