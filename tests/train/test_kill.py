"""A run that is killed, wherever, ends with the bytes of one that never was."""

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest

from ssdet.train import pretrain
from ssdet.train.checkpoint import resume_folder
from tests.train.test_pretrain import of_steps, steps_saved, with_section

STEPS = 80
EXIT_STATUS = 143


@pytest.fixture(scope="module")
def processes():
    """Starts stages in processes of their own, PyTorch already imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ssdet.train.pretrain"])
    return context


@pytest.fixture(scope="module")
def undisturbed(tiny, processes, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "checkpoint.pt"
    assert ended(start(processes, arguments_of(tiny, out))) == 0
    return out


def arguments_of(tiny, out):
    """Saves after every step, validates twice, averages and clips."""
    section = of_steps(
        tiny, STEPS, validate_every=STEPS // 2, ema=0.9, clip_norm=1.0, drop_steps=[60]
    )
    arguments = tiny.pretrain(out, "mixup", checkpoint_seconds=0)
    return with_section(arguments, "pretrain", section)


def start(processes, arguments):
    process = processes.Process(target=pretrain.main, args=(arguments,))
    process.start()
    return process


def ended(process):
    process.join(120)
    return process.exitcode


def being_written(out):
    """Files of a state that is not whole yet."""
    return list(resume_folder(out).glob(".*.tmp"))


def wait_for(process, condition):
    """Whether it came true while the process ran."""
    while process.is_alive():
        if condition():
            return True
        time.sleep(0.0005)
    return False


def test_killed_at_random_moments(tiny, processes, undisturbed, tmp_path):
    """Ten times or more: between steps, inside them, by SIGKILL and by SIGTERM."""
    out = tmp_path / "checkpoint.pt"
    arguments = arguments_of(tiny, out)
    draws, kills = random.Random(0), {signal.SIGKILL: 0, signal.SIGTERM: 0}
    while not out.exists():
        process = start(processes, arguments)
        goal = steps_saved(resume_folder(out)) + draws.randint(1, 3)
        if wait_for(process, lambda g=goal: steps_saved(resume_folder(out)) >= g):
            time.sleep(draws.uniform(0, 0.1))
            number = draws.choice(list(kills))
            os.kill(process.pid, number)
            if ended(process) in (-number, EXIT_STATUS):
                kills[number] += 1
                continue
        assert ended(process) == 0
    assert sum(kills.values()) >= 10
    assert min(kills.values()) >= 3
    assert_same(out, undisturbed)


def test_killed_inside_a_write(tiny, processes, undisturbed, tmp_path):
    out = tmp_path / "checkpoint.pt"
    arguments = arguments_of(tiny, out)
    inside = 0
    while inside < 3:
        process = start(processes, arguments)
        goal = steps_saved(resume_folder(out)) + 2
        assert wait_for(process, lambda g=goal: steps_saved(resume_folder(out)) >= g)
        assert wait_for(process, lambda: being_written(out))
        os.kill(process.pid, signal.SIGKILL)
        assert ended(process) == -signal.SIGKILL
        inside += bool(being_written(out))
    assert ended(start(processes, arguments)) == 0
    assert_same(out, undisturbed)


def test_sigterm_breaks_off_a_validation(tiny, undisturbed, tmp_path, monkeypatch):
    """The state is saved before; the next run validates again."""
    out = tmp_path / "checkpoint.pt"
    arguments = arguments_of(tiny, out)

    def hang(*given):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
        raise AssertionError("the signal did not end the validation")

    with monkeypatch.context() as patch:
        patch.setattr(pretrain.Pretext, "clean_accuracy", hang)
        with pytest.raises(SystemExit) as caught:
            pretrain.main(arguments)
    assert caught.value.code == EXIT_STATUS
    assert steps_saved(resume_folder(out)) == STEPS // 2
    pretrain.main(arguments)
    assert_same(out, undisturbed)


def assert_same(out, undisturbed):
    """The same checkpoint, and the same lines of metrics but for the waiting."""
    assert out.read_bytes() == undisturbed.read_bytes()
    assert lines(out) == lines(undisturbed)
    assert not resume_folder(out).exists()


def lines(out):
    rows = [json.loads(line) for line in Path(out).with_suffix(".jsonl").open()]
    return [{**row, "waited_s": None, "step_s": None} for row in rows]
