"""SPOT's two training stages on features that lie in files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ssdet.models import build_spot
from ssdet.models.spot_naming import reference_name
from ssdet.stage import StageError
from ssdet.train import checkpoint, pretrain_spot, spot
from ssdet.train.checkpoint import load_checkpoint
from tests.train.spot_runs import (
    VIDEOS,
    arguments,
    pretrain,
    small,
    train,
)
from tests.train.spot_sets import CLASSES, WIDTH
from tests.train.test_distributed import assert_same_weights, two_processes


def test_pretraining_leaves_the_class_branch_alone(spot_folder, spot_pretrained):
    content = load_checkpoint(spot_pretrained)
    assert content["stage"] == "pretrain_spot"
    assert content["config"]["videos"] == {"with_features": 12, "without_features": 0}
    torch.manual_seed(0)
    fresh = build_spot(small().network, WIDTH, CLASSES).state_dict()
    weights = content["weights"]
    assert set(weights) == set(fresh)
    for name, tensor in fresh.items():
        same = torch.equal(tensor, weights[name])
        assert same == name.startswith("class_branch."), name
    assert rows(spot_pretrained)[-1].keys() >= {"val_loss", "val_dice"}


def test_training_starts_from_the_pretraining(spot_folder, spot_pretrained, tmp_path):
    section = small(train__keep="last")
    train(spot_folder, tmp_path / "a.pt", section, init=spot_pretrained)
    content = load_checkpoint(tmp_path / "a.pt")
    assert content["stage"] == "train_spot"
    assert content["parents"].keys() == {"training", "inventory", "init"}
    assert content["config"]["labelled"] == "50"
    before = load_checkpoint(spot_pretrained)["weights"]
    for name, tensor in content["weights"].items():
        same = torch.equal(tensor, before[name])
        assert same == name.startswith("order_head."), name
    last = rows(tmp_path / "a.pt")[-1]
    assert 0 <= last["val_map"] <= 1
    assert last["val_dice"] <= 1


@pytest.mark.parametrize("stage", ["pretrain", "train"])
def test_a_resumed_run_ends_with_the_same_bytes(
    spot_folder, spot_pretrained, tmp_path, monkeypatch, stage
):
    out, section = tmp_path / "c.pt", small()

    def once():
        if stage == "pretrain":
            pretrain(spot_folder, out, section, save=0)
        else:
            train(spot_folder, out, section, init=spot_pretrained, save=0)

    once()
    expected = out.read_bytes()
    out.unlink()
    with monkeypatch.context() as patch:
        patch.setattr("ssdet.train.run.finish_checkpoint", lambda *given: None)
        once()
    states = sorted(checkpoint.resume_folder(out).glob("step-*.pt"))
    assert states
    states[-1].unlink()  # go on from an older one
    once()
    assert out.read_bytes() == expected


def test_other_seeds_and_labels_give_other_weights(
    spot_folder, spot_pretrained, tmp_path
):
    section = small(train__keep="last")
    runs = {"a": {}, "b": {"seed": 5}, "c": {"labelled": 100}}
    weights = {}
    for name, more in runs.items():
        train(
            spot_folder, tmp_path / f"{name}.pt", section, init=spot_pretrained, **more
        )
        found = load_checkpoint(tmp_path / f"{name}.pt")["weights"]
        weights[name] = found["class_branch.weight"]
    assert not torch.equal(weights["a"], weights["b"])
    assert not torch.equal(weights["a"], weights["c"])


def test_the_published_network_in_parts_of_a_batch(spot_folder, tmp_path):
    section = small(
        network__compat="reference", network__positions=False, losses__focal="batch"
    )
    more = ("--accumulate", "2", "--precision", "bf16")
    out = tmp_path / "p.pt"
    pretrain_spot.main(
        arguments(
            spot_folder, out, section, "--pretrain", section.pretrain.canonical(), *more
        )
    )
    spot.main(
        arguments(
            spot_folder,
            tmp_path / "s.pt",
            section,
            *("--train", section.train.canonical(), "--labelled", "50"),
            *("--split-seed", "1", "--init", str(out), *more),
        )
    )
    weights = load_checkpoint(tmp_path / "s.pt")["weights"]
    assert any(name.startswith("unread.") for name in weights)
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_two_processes_pretrain_as_one_that_takes_the_parts_in_turn(
    spot_folder, tmp_path
):
    """Each part has the same draws, as long as the network drops nothing."""
    still = {"network__dropout_attention": 0.0, "network__dropout_out": 0.0}
    section = small(pretrain__epochs=3, **still)

    def given(out):
        cfg = section.pretrain.canonical()
        return arguments(spot_folder, out, section, "--pretrain", cfg)

    one, two = tmp_path / "one.pt", tmp_path / "two.pt"
    pretrain_spot.main([*given(one), "--accumulate", "2"])
    two_processes(pretrain_spot.__name__, given(two))
    assert_same_weights(one, two)
    found = [[row["loss"] for row in rows(out) if "loss" in row] for out in (one, two)]
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert rows(one)[-1]["val_loss"] == pytest.approx(rows(two)[-1]["val_loss"], 1e-5)


def rows(out):
    return [json.loads(line) for line in out.with_suffix(".jsonl").open()]


@pytest.mark.slow
def test_two_processes_learn_nearly_the_same(spot_folder, tmp_path):
    """Not quite: the weights of rare cells are counted in each process's own share."""
    section = small(train__keep="last", train__learning_rate=1e-4)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    found = []
    for processes in (1, 2):
        out = tmp_path / f"{processes}.pt"
        given = arguments(
            spot_folder,
            out,
            section,
            *("--train", section.train.canonical(), "--labelled", "50"),
            *("--split-seed", "1"),
        )
        done = subprocess.run(
            [*command, f"--nproc-per-node={processes}", "-m", spot.__name__, *given],
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found.append(load_checkpoint(out)["weights"])
    assert found[0].keys() == found[1].keys()
    for name, tensor in found[0].items():
        torch.testing.assert_close(tensor, found[1][name], rtol=0, atol=2e-3)
    assert not torch.equal(
        found[0]["class_branch.weight"], found[1]["class_branch.weight"]
    )


def test_published_weights(spot_folder, tmp_path):
    """Trained so little that what it started from can be seen."""
    section = small(
        network__compat="reference",
        network__positions=False,
        train__keep="last",
        train__learning_rate=1e-9,
    )
    torch.manual_seed(3)
    state = build_spot(section.network, WIDTH, CLASSES).state_dict()
    theirs = {f"module.{reference_name(n)}": tensor for n, tensor in state.items()}
    torch.save({"state_dict": theirs}, tmp_path / "published.pth.tar")
    out = tmp_path / "a.pt"
    train(spot_folder, out, section, init=tmp_path / "published.pth.tar")
    for name, tensor in load_checkpoint(out)["weights"].items():
        torch.testing.assert_close(tensor, state[name], rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="not the published network"):
        train(
            spot_folder,
            out,
            small(network__positions=False, network__mask_hidden=8),
            init=tmp_path / "published.pth.tar",
        )


def test_a_published_draw_is_used(spot_folder, tmp_path):
    split = tmp_path / "split.csv"
    marks = [f"v{n:02d},{int(n >= 4)}" for n in range(VIDEOS)]
    split.write_text("\n".join(["video,0.5", *marks]) + "\n")
    train(spot_folder, tmp_path / "a.pt", small(), split=split)
    train(spot_folder, tmp_path / "b.pt", small())
    used, drawn = (load_checkpoint(tmp_path / f"{n}.pt") for n in "ab")
    assert "split_file" in used["parents"]
    assert not torch.equal(
        used["weights"]["class_branch.weight"], drawn["weights"]["class_branch.weight"]
    )


def test_a_state_of_other_settings_is_refused(spot_folder, tmp_path, monkeypatch):
    out = tmp_path / "a.pt"
    with monkeypatch.context() as patch:
        patch.setattr("ssdet.train.run.finish_checkpoint", lambda *given: None)
        train(spot_folder, out, small(), save=0)
    with pytest.raises(StageError, match="they differ in labelled"):
        train(spot_folder, out, small(), labelled=25)
