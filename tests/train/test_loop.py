"""What the loop offers every stage, seen through the stages themselves."""

import importlib.util
import json

import pytest
import torch

from ssdet.stage import StageError
from ssdet.train import fine, pretrain
from ssdet.train.averages import Best, RunningAverage
from ssdet.train.checkpoint import load_checkpoint
from tests.train.test_distributed import assert_same_weights, with_values

STEPS = 4
PLAIN = {"optimizer": "sgd", "learning_rate": 0.01, "schedule": "step"}
SHORT = {"steps": STEPS, "validate_every": STEPS, "warmup_steps": 0, **PLAIN}


def pretraining(tiny, out, pretext="mixup", **values):
    """Arguments of a short run without dropout."""
    arguments = with_values(tiny.pretrain(out, pretext), "model", dropout=0.0)
    return with_values(arguments, "pretrain", **{**SHORT, **values})


@pytest.fixture(scope="module")
def plain(tiny, tmp_path_factory):
    """A run with nothing switched on: batches of 4 in two groups."""
    out = tmp_path_factory.mktemp("plain") / "plain.pt"
    pretrain.main(pretraining(tiny, out))
    return out


def weights(path):
    return load_checkpoint(path)["weights"]


def rows(path):
    return [json.loads(line) for line in path.with_suffix(".jsonl").open()]


def test_parts_of_a_batch_add_up_to_it(tiny, plain, tmp_path):
    """Partners, groups and loss are those of the whole batch, and the statistics."""
    out = tmp_path / "parts.pt"
    pretrain.main([*pretraining(tiny, out), "--accumulate", "2"])
    assert_same_weights(plain, out)


def test_parts_that_split_a_group_are_refused(tiny, tmp_path):
    arguments = pretraining(tiny, tmp_path / "c.pt")
    with pytest.raises(StageError, match=r"4 clips in 2 groups .* in 4 parts each"):
        pretrain.main([*arguments, "--accumulate", "4"])


def test_recomputed_blocks_give_the_same_bytes(tiny, plain, tmp_path):
    out = tmp_path / "recomputed.pt"
    pretrain.main([*pretraining(tiny, out), "--activation-checkpointing"])
    assert out.read_bytes() == plain.read_bytes()


def test_half_precision_stays_near(tiny, plain, tmp_path):
    """bf16 has 8 bits: the loss of the first step differs by less than 2 %."""
    out = tmp_path / "half.pt"
    pretrain.main([*pretraining(tiny, out), "--precision", "bf16"])
    half, full = rows(out)[0]["loss"], rows(plain)[0]["loss"]
    assert half != full
    assert half == pytest.approx(full, rel=0.02)
    assert all(tensor.dtype == torch.float32 for tensor in weights(out).values())


def test_clipped_gradients_bound_the_first_step(tiny, tmp_path):
    """SGD without momentum moves by rate x norm at most."""
    limits = {"steps": 1, "momentum": 0.0, "weight_decay": 0.0, "clip_norm": 1e-3}
    still, moved = tmp_path / "still.pt", tmp_path / "moved.pt"
    pretrain.main(pretraining(tiny, still, **limits, learning_rate=1e-30))
    pretrain.main(pretraining(tiny, moved, **limits, learning_rate=1.0))
    assert rows(moved)[0]["gradient_norm"] > 1e-3
    before, after = weights(still), weights(moved)
    steps = [
        (after[name] - before[name]).flatten()
        for name in before
        if "running" not in name
    ]
    assert torch.cat(steps).norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_the_average_follows_the_weights():
    layer = torch.nn.Linear(1, 1, bias=False)
    average = RunningAverage(layer, 0.75)
    for value in (4.0, 8.0, 0.0):
        layer.weight.data.fill_(value)
        average.update(layer)
    # 4; 0.75 * 4 + 0.25 * 8 = 5; 0.75 * 5 = 3.75
    assert average.network.weight.item() == 3.75
    again = RunningAverage(layer, 0.75)
    again.load_state_dict(average.state_dict())
    again.update(layer)
    assert again.network.weight.item() == 0.75 * 3.75


def test_a_run_ends_with_the_average_if_asked(tiny, plain, tmp_path):
    """Most of a slow average is the weights after the first step."""
    first, slow = tmp_path / "first.pt", tmp_path / "slow.pt"
    pretrain.main(pretraining(tiny, first, steps=1))
    pretrain.main(pretraining(tiny, slow, ema=0.999999))
    name = "backbone.conv5.weight"
    torch.testing.assert_close(
        weights(slow)[name], weights(first)[name], atol=1e-6, rtol=0
    )
    assert not torch.allclose(weights(slow)[name], weights(plain)[name], atol=1e-6)
    statistics = "backbone.norm5.running_mean"
    assert torch.equal(weights(slow)[statistics], weights(plain)[statistics])


def test_frozen_norms_stay_as_they_were(tiny, plain, tmp_path):
    out = tmp_path / "frozen.pt"
    arguments = with_values(
        tiny.fine(out, plain), "fine", frozen_norm=True, warmup_epochs=0, **PLAIN
    )
    fine.main(arguments)
    before, after = weights(plain), weights(out)
    kept = [name for name in before if "norm" in name]
    assert len(kept) > 20
    for name in kept:
        assert torch.equal(before[name], after[name]), name
    name = "backbone.conv5.weight"
    assert not torch.equal(before[name], after[name])


def test_the_best_weights_are_kept():
    best = Best({"a": torch.zeros(1)})
    for step, score in enumerate([0.2, 0.5, 0.4], 1):
        best.offer(step, {"val_map": score}, {"a": torch.full((1,), score)})
    best.offer(4, {}, {"a": torch.ones(1)})
    assert (best.step, best.score, best.weights["a"].item()) == (2, 0.5, 0.5)


def test_multigrid_batches_change_their_shape(tiny, tmp_path, monkeypatch):
    """The plan of 20 steps, each phase but the last in quarters; then its clips."""
    seen = []
    loss = pretrain.Pretext.loss

    def remember(self, network, batch, step, slots):
        seen.append(tuple(batch["video"].shape))
        return loss(self, network, batch, step, slots)

    monkeypatch.setattr(pretrain.Pretext, "loss", remember)
    both = {"long_cycle": True, "short_cycle": True}
    out = tmp_path / "c.pt"
    pretrain.main(
        pretraining(tiny, out, "cls", steps=20, validate_every=20, multigrid=both)
    )
    first, last = seen[0], seen[19]
    # long cycle: 8 x 4 clips of 8 / 4 frames at 32 / sqrt 2; short: twice, / sqrt 2
    assert first == (64, 3, 2, 15, 15)
    assert seen[1] == (32, 3, 2, 22, 22)
    assert last[2] == 8  # all frames in the last phase
    assert {shape[3] for shape in seen[17:]} == {16, 22, 32}
    assert rows(out)[0]["rate"] == pytest.approx(8 * PLAIN["learning_rate"])
    assert rows(out)[19]["rate"] == pytest.approx(PLAIN["learning_rate"])


def test_a_multigrid_run_is_continued(tiny, tmp_path, monkeypatch):
    """From a state with other groups of batch normalisation than the last steps'."""
    cycles = {"long_cycle": True, "short_cycle": False}
    values = {"steps": 12, "validate_every": 3, "multigrid": cycles}
    whole, halved = tmp_path / "whole.pt", tmp_path / "halved.pt"
    pretrain.main(pretraining(tiny, whole, "cls", **values))
    calls = []

    def stop(self, *given):
        calls.append(given)
        if len(calls) == 1:
            raise SystemExit(1)
        return {"clean_accuracy": 0.0}

    monkeypatch.setattr(pretrain.Pretext, "clean_accuracy", stop)
    with pytest.raises(SystemExit):
        pretrain.main(pretraining(tiny, halved, "cls", **values))
    pretrain.main(pretraining(tiny, halved, "cls", **values))
    assert len(calls) == 5
    assert halved.read_bytes() == whole.read_bytes()


def test_events_for_tensorboard(tiny, tmp_path):
    arguments = [*pretraining(tiny, tmp_path / "c.pt", "cls"), "--tensorboard"]
    if importlib.util.find_spec("tensorboard") is None:
        with pytest.raises(StageError, match="pip install tensorboard"):
            pretrain.main(arguments)
        return
    pretrain.main(arguments)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    losses = events.Scalars("loss")
    expected = rows(tmp_path / "c.pt")[:STEPS]
    assert [event.step for event in losses] == [row["step"] for row in expected]
    found = [event.value for event in losses]
    assert found == pytest.approx([row["loss"] for row in expected], rel=1e-6)


def test_rows_of_the_actions_can_be_kept(tiny, plain, tmp_path):
    """The row of the background is fresh; nearly nothing is learnt here."""
    from safetensors.torch import save_file

    classifier = {name: x.contiguous() for name, x in weights(plain).items()}
    for name in ("head.fc2.weight", "head.fc2.bias"):
        classifier[name] = classifier[name][1:].contiguous()  # 8 actions
    save_file(classifier, tmp_path / "classifier.safetensors")
    out, init = tmp_path / "kept.pt", str(tmp_path / "classifier.safetensors")
    nothing = {"steps": 1, "learning_rate": 1e-30, "weight_decay": 0.0}
    arguments = pretraining(tiny, out, **nothing, init=init, copy_rows=True)
    arguments[arguments.index("--init") + 1] = init
    pretrain.main(arguments)
    kept, before = weights(out)["head.fc2.weight"], weights(plain)["head.fc2.weight"]
    assert torch.equal(kept[1:], before[1:])
    assert not torch.equal(kept[0], before[0])
