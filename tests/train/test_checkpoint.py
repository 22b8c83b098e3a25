import json
import os

import pytest
import torch
from torch import nn

from ssdet.files import sha256
from ssdet.provenance import record_path
from ssdet.stage import StageError
from ssdet.train.checkpoint import (
    Rolling,
    finish_checkpoint,
    load_checkpoint,
    load_initial,
    save_checkpoint,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Linear(2, 2)


def rolling(tmp_path, model, **job):
    return Rolling(tmp_path / "c.pt", {"seed": 0, **job}, {"model": model})


def test_a_state_is_continued(tmp_path, model):
    first = rolling(tmp_path, model)
    assert first.restore() == 0
    first.save(3)
    weight = model.weight.detach().clone()
    model.weight.data.zero_()
    again = rolling(tmp_path, model)
    assert again.restore() == 3
    assert torch.equal(model.weight, weight)


def test_cut_off_at_the_end_no_state_outlives_its_numbers(tmp_path, model, monkeypatch):
    state = rolling(tmp_path, model)
    for step in (1, 2):
        state.save(step)
    numbers = state.folder / "metrics.jsonl"
    numbers.write_text("{}")

    def killed(folder, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ssdet.train.checkpoint.shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        finish_checkpoint(tmp_path / "c.pt", {"weights": {}}, {"stage": "x"})
    assert list(state.folder.iterdir()) == [numbers]


def test_two_states_are_kept_and_a_damaged_one_is_passed_over(tmp_path, model):
    state = rolling(tmp_path, model)
    for step in (1, 2, 3):
        state.save(step)
    files = sorted(state.folder.iterdir())
    assert len(files) == 2
    data = bytearray(files[-1].read_bytes())
    data[len(data) // 2] ^= 1
    files[-1].write_bytes(data)
    assert rolling(tmp_path, model).restore() == 2


def test_the_state_of_another_job_is_refused(tmp_path, model):
    rolling(tmp_path, model).save(1)
    with pytest.raises(StageError, match=r"another job \(they differ in seed\)"):
        rolling(tmp_path, model, seed=1).restore()


def test_finishing_writes_checkpoint_and_record_and_removes_the_state(tmp_path, model):
    state = rolling(tmp_path, model)
    state.save(1)
    out = tmp_path / "c.pt"
    content = {"stage": "fine", "config": {}, "classes": ["run"]}
    content["weights"] = model.state_dict()
    finish_checkpoint(out, content, {"stage": "fine"})
    assert sorted(os.listdir(tmp_path)) == ["c.json", "c.pt"]
    assert json.loads(record_path(out).read_text()) == {
        "provenance": {"stage": "fine"},
        "sha256": sha256(out),
    }
    assert torch.equal(load_initial(out)["weight"], model.weight)


def test_equal_content_gives_equal_bytes(tmp_path, model):
    content = {"weights": model.state_dict()}
    save_checkpoint(tmp_path / "a.pt", content)
    save_checkpoint(tmp_path / "other_name.pt", content)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "other_name.pt").read_bytes()


class Harmful:
    def __reduce__(self):
        return os.system, ("touch harmed",)


def test_what_is_no_checkpoint_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StageError, match=r"no checkpoint at .*absent\.pt \(--init\)"):
        load_initial(tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(StageError, match=r"text\.pt .*cannot be read as a checkpoint"):
        load_checkpoint(tmp_path / "text.pt")
    torch.save({"a": 1}, tmp_path / "foreign.pt")
    with pytest.raises(StageError, match="is not a checkpoint of ssdet"):
        load_checkpoint(tmp_path / "foreign.pt")
    torch.save({"format": Harmful()}, tmp_path / "harmful.pt")
    with pytest.raises(StageError, match="cannot be read as a checkpoint"):
        load_checkpoint(tmp_path / "harmful.pt")
    assert not (tmp_path / "harmed").exists()
    with pytest.raises(StageError, match="no weights at"):
        load_initial(tmp_path / "absent.safetensors")
    (tmp_path / "bad.safetensors").write_text("hello")
    with pytest.raises(StageError, match="is not safetensors"):
        load_initial(tmp_path / "bad.safetensors")


@pytest.mark.parametrize("recorded", [True, False])
def test_flipped_bits(tmp_path, model, recorded):
    """Each is noticed if there is a record; of a copy without one, in the weights."""
    path = tmp_path / "c.pt"
    finish_checkpoint(path, {"weights": model.state_dict()}, {"stage": "x"})
    if not recorded:
        record_path(path).unlink()
    good = path.read_bytes()
    weights = good.index(model.weight.detach().numpy().tobytes())
    places = range(0, len(good), 7) if recorded else range(weights, weights + 16)
    for position in places:
        damaged = bytearray(good)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(StageError, match=r"c\.pt .*cannot be read as a checkpoint"):
            load_checkpoint(path)
