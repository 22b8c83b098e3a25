"""Two processes compute what one does: same batch, same groups, same statistics."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ssdet.models.sub_batch_norm import SubBatchNorm3d
from ssdet.train import end_to_end, fine, pretrain, slowfast
from ssdet.train.checkpoint import load_checkpoint, resume_folder
from ssdet.train.distributed import World

ROOT = Path(__file__).resolve().parents[2]
STEPS = 5
GENTLE = {"optimizer": "sgd", "learning_rate": 0.01, "schedule": "step"}


def with_values(arguments, section, **values):
    """Arguments with some values of one section changed."""
    position = arguments.index(f"--{section}") + 1
    changed = json.dumps(json.loads(arguments[position]) | values)
    return [*arguments[:position], changed, *arguments[position + 1 :]]


def two_processes(module, arguments):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", module, *arguments),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr


def assert_same_weights(one, two):
    first, second = load_checkpoint(one)["weights"], load_checkpoint(two)["weights"]
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(
            second[name], tensor, atol=1e-5, rtol=1e-5, msg=lambda m, n=name: n + m
        )


def pretraining(tiny, out, pretext="cls"):
    arguments = with_values(tiny.pretrain(out, pretext), "model", dropout=0.0)
    return with_values(
        arguments, "pretrain", steps=STEPS, validate_every=2, warmup_steps=0, **GENTLE
    )


@pytest.fixture(scope="module")
def pretrained(tiny, tmp_path_factory):
    """One process, batch of 4 in two groups, each by itself.

    The rounding of both at once is another, and a ReLU that it turns makes another
    network of one so small: 1 of 6 seeds, with any kernels.
    """
    out = tmp_path_factory.mktemp("one") / "pretrain.pt"
    pretrain.main([*pretraining(tiny, out), "--accumulate", "2"])
    return out


def test_pretraining(tiny, pretrained, tmp_path):
    out = tmp_path / "two.pt"
    two_processes("ssdet.train.pretrain", pretraining(tiny, out))
    assert_same_weights(pretrained, out)
    ends = [
        path.with_suffix(".jsonl").read_text().splitlines()[-1]
        for path in (pretrained, out)
    ]
    assert (
        json.loads(ends[0])["clean_accuracy"] == json.loads(ends[1])["clean_accuracy"]
    )


def test_fine_tuning(tiny, pretrained, tmp_path):
    def tuning(out):
        arguments = with_values(tiny.fine(out, pretrained), "model", dropout=0.0)
        return with_values(
            arguments, "fine", batch_size=2, bn_group=1, warmup_epochs=0, **GENTLE
        )

    fine.main(tuning(tmp_path / "one.pt"))
    two_processes("ssdet.train.fine", tuning(tmp_path / "two.pt"))
    assert_same_weights(tmp_path / "one.pt", tmp_path / "two.pt")


def test_a_frozen_stream(tiny, pretrained, tmp_path):
    """SlowFast_det, whose fast stream has no gradients to average."""
    one, two, fast = (tmp_path / f"{name}.pt" for name in ("one", "two", "fast"))
    fine.main(tiny.fine(fast, pretrained))

    def training(out):
        arguments = with_values(
            tiny.slowfast(out, pretrained, fast), "model", dropout=0.0
        )
        return with_values(
            arguments, "slowfast", epochs=2, warmup_epochs=0, bn_group=1, **GENTLE
        )

    slowfast.main(training(one))
    two_processes("ssdet.train.slowfast", training(two))
    assert_same_weights(one, two)


def test_two_streams_that_are_trained_together(tiny, pretrained, tmp_path):
    """Also without the fine stream's own loss, the only one of its head.

    Like two parts in one process: rounding of the whole batch at once is another, and
    so few values in a group amplify it.
    """
    one, two, stream = (tmp_path / f"{name}.pt" for name in ("one", "two", "fine"))
    fine.main(tiny.fine(stream, pretrained))

    def training(out):
        arguments = with_values(
            tiny.end_to_end(out, pretrained, stream), "model", dropout=0.0
        )
        values = {"epochs": 2, "warmup_epochs": 0, "bn_group": 1, "keep": "last"}
        return with_values(
            arguments, "end-to-end", fine_loss_weight=0, **values, **GENTLE
        )

    end_to_end.main([*training(one), "--accumulate", "2"])
    two_processes("ssdet.train.end_to_end", training(two))
    assert_same_weights(one, two)


def test_two_nodes(tiny, pretrained, tmp_path):
    """The same command on each node, with the same place to meet."""
    out = tmp_path / "two.pt"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    nodes = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"),
                *("--node-rank", str(rank), "--nproc-per-node", "1"),
                *("--master-addr", "127.0.0.1", "--master-port", str(port)),
                *("-m", "ssdet.train.pretrain", *pretraining(tiny, out)),
            ],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        for rank in (0, 1)
    ]
    for node in nodes:
        said = node.communicate()[1]
        assert node.returncode == 0, said
    assert_same_weights(pretrained, out)


def test_partners_come_from_the_whole_batch(tiny, tmp_path):
    """Augmentation is drawn for the batch of all, two groups of two clips."""

    def mixing(out):
        return with_values(
            pretraining(tiny, out, "mixup"), "pretrain", batch_size=8, bn_group=2
        )

    pretrain.main([*mixing(tmp_path / "one.pt"), "--accumulate", "2"])
    two_processes("ssdet.train.pretrain", mixing(tmp_path / "two.pt"))
    assert_same_weights(tmp_path / "one.pt", tmp_path / "two.pt")


def test_a_state_of_two_processes_is_continued_by_two_or_one(tiny, tmp_path):
    """It holds the groups' statistics of both, here two groups in each process."""

    def steps(out, number):
        return with_values(
            pretraining(tiny, out, "mixup"),
            "pretrain",
            **{"batch_size": 8, "bn_group": 2, "steps": number, "validate_every": 2},
        )

    whole = tmp_path / "whole.pt"
    two_processes("ssdet.train.pretrain", steps(whole, STEPS))
    cut = tmp_path / "cut.pt"
    with pytest.raises(AssertionError, match="stopped by a signal, state saved"):
        two_processes("tests.train.stopped", ["2", *steps(cut, STEPS)])
    shutil.copytree(f"{cut}.resume", f"{tmp_path / 'other.pt'}.resume")
    two_processes("ssdet.train.pretrain", steps(cut, STEPS))
    assert cut.read_bytes() == whole.read_bytes()
    pretrain.main(steps(tmp_path / "other.pt", STEPS))
    assert_same_weights(whole, tmp_path / "other.pt")


def test_two_processes_leave_a_validation_at_once(tiny, tmp_path):
    """A cluster's signal reaches both; the state is saved before."""
    out = tmp_path / "c.pt"
    with pytest.raises(AssertionError, match="stopped by a signal, state saved before"):
        two_processes("tests.train.stopped", ["validation", *pretraining(tiny, out)])
    (state,) = resume_folder(out).glob("step-*.pt")
    assert state.name.startswith("step-000000002.")  # of the first validation
    assert "clean_accuracy" not in (resume_folder(out) / "metrics.jsonl").read_text()


def test_a_batch_that_cannot_be_shared_is_refused(tiny, tmp_path):
    with pytest.raises(AssertionError, match=r"cannot be dealt to 2 processes"):
        two_processes(
            "ssdet.train.pretrain",
            with_values(pretraining(tiny, tmp_path / "c.pt"), "pretrain", bn_group=4),
        )


def test_evaluation_leaves_the_statistics_of_training_alone():
    norm = SubBatchNorm3d(2, splits=2)
    norm(torch.randn(4, 2, 1, 3, 3))
    before = norm.split_mean.clone()
    with World(0, 1, torch.device("cpu")).evaluating(norm):
        assert not norm.training
        gathered = norm.running_mean.clone()
    assert norm.training
    torch.testing.assert_close(gathered, before.view(2, 2).mean(0))
    assert torch.equal(norm.split_mean, before)
