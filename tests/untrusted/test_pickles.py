"""Checkpoints of strangers run no code, whatever reads them."""

import io
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet import cli
from ssdet.config import ModelConfig, SpotNetwork
from ssdet.data.feature_files import FeatureFiles
from ssdet.data.step_features import FolderSteps
from ssdet.models import build_detector, build_spot
from ssdet.models.exchange import read_tensors
from ssdet.tensor_files import load_pickled, load_safetensors
from ssdet.train.checkpoint import (
    Rolling,
    load_checkpoint,
    load_initial,
    save_checkpoint,
)
from ssdet.train.detectors import load_detector
from ssdet.train.spot import initial
from tests.tiny import tiny_config


class Harmful:
    """What an attacker would put into a checkpoint."""

    def __reduce__(self):
        return os.system, ("touch harmed",)


class HarmfulState:
    """The same, hidden in the state of an object that is a tensor otherwise."""

    def __reduce__(self):
        return torch.nn.Parameter, (torch.ones(1),), {"x": Harmful()}


CONTENT = {"format": "ssdet_checkpoint", "version": 1, "stage": "fine", "classes": []}
HARMS = {
    "value": {**CONTENT, "weights": {"x": Harmful()}},
    "key": {**CONTENT, "config": {(Harmful(),): 1}},
    "state": {**CONTENT, "weights": {"x": HarmfulState()}},
    "top": Harmful(),
    "module": torch.nn.Linear(1, 1),
}
FORMS = ("zip", "legacy", "pickle")


def harmful_file(path, harm, form):
    """A file that runs a command when it is read as pickles are."""
    if form == "pickle":
        path.write_bytes(pickle.dumps(HARMS[harm]))
    else:
        torch.save(HARMS[harm], path, _use_new_zipfile_serialization=form == "zip")


def resume(path):
    """Continue from a rolling state that was put into its folder."""
    from ssdet.files import sha256

    rolling = Rolling(path.with_name("out.pt"), {"seed": 0}, {})
    rolling.folder.mkdir(exist_ok=True)
    shutil.copy(path, rolling.folder / f"step-000000001.{sha256(path)[:16]}.pt")
    rolling.restore()


def start_spot(path):
    network = SpotNetwork.model_validate(tiny_config().spot.network.model_dump())
    initial(path, build_spot(network, 8, 2))


READERS = {
    "init": load_initial,
    "checkpoint": load_checkpoint,
    "detector": lambda path: load_detector(path, ["run"], {}, torch.device("cpu")),
    "tensors": read_tensors,
    "resume": resume,
    "spot": start_spot,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("harm", HARMS)
def test_nothing_runs(tmp_path, monkeypatch, harm, form):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "strange.pt"
    harmful_file(path, harm, form)
    for name, read in READERS.items():
        with pytest.raises(ValueError, match="holds more than tensors") as caught:
            read(path)
        assert "strange.pt" in str(caught.value) or name == "resume"
        assert "weights_only" not in str(caught.value)  # no advice to read it anyway
    assert not (tmp_path / "harmed").exists()


def test_the_harm_is_real(tmp_path, monkeypatch):
    """The same files, read without care, do run the command."""
    monkeypatch.chdir(tmp_path)
    for harm in ("value", "top"):
        harmful_file(tmp_path / "strange.pt", harm, "zip")
        torch.load("strange.pt", weights_only=False)
        assert (tmp_path / "harmed").exists()
        os.remove("harmed")


@pytest.mark.parametrize("command", ["convert", "export"])
def test_commands_refuse_them(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    harmful_file(tmp_path / "strange.pt", "value", "zip")
    out = {"convert": "out.safetensors", "export": "out.onnx"}[command]
    assert cli.main([command, "strange.pt", out]) == 1
    assert "could run code" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["strange.pt"]


@pytest.mark.parametrize("reader", [FeatureFiles, FolderSteps])
def test_arrays_of_objects_are_refused(tmp_path, monkeypatch, reader):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "features"
    folder.mkdir()
    np.save(folder / "v.npy", np.array([[Harmful()]]), allow_pickle=True)
    read = {
        FeatureFiles: lambda: FeatureFiles(folder).read("v"),
        FolderSteps: lambda: FolderSteps(folder).read("v", 0, 1),
    }[reader]
    for data in ((folder / "v.npy").read_bytes(), pickle.dumps(Harmful()), b""):
        (folder / "v.npy").write_bytes(data)
        with pytest.raises(ValueError, match=r"v\.npy"):
            read()
    np.savez(folder / "v.npz", x=np.ones((1, 2)))
    os.replace(folder / "v.npz", folder / "v.npy")
    with pytest.raises(ValueError, match="is not a NumPy array"):
        read()
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": {"x": 1}}, "does not hold the network"),
        ({"weights": {}}, "does not hold the network"),
        ({"weights": []}, "its weights is a list"),
        ({"config": {}}, "does not hold the network"),
        ({"config": {"model": {"depth_factor": 1}}}, "width_factor"),
        ({"classes": "run"}, "its classes is a str"),
        ({"stage": None}, "its stage is a NoneType"),
        ({"stage": "slowfast"}, "does not hold the network"),
        ({"version": [1]}, r"has format version \[1\]"),
    ],
)
def test_checkpoints_of_odd_content(tmp_path, changes, message):
    model = ModelConfig.model_validate(tiny_config().model.model_dump())
    content = {
        "stage": "fine",
        "config": {"model": model.model_dump()},
        "classes": ["run"],
        "weights": build_detector(model, 1).state_dict(),
    }
    path = tmp_path / "c.pt"
    save_checkpoint(path, content)
    load_detector(path, ["run"], {}, torch.device("cpu"))
    save_checkpoint(path, content | changes)
    with pytest.raises(ValueError, match=message):
        load_detector(path, ["run"], {}, torch.device("cpu"))


def saved(legacy):
    file = io.BytesIO()
    content = {**CONTENT, "config": {}, "weights": {"x": torch.ones(3)}}
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


GOOD = (saved(False), saved(True))


@settings(max_examples=80, deadline=None)
@given(
    good=st.sampled_from(GOOD),
    changes=st.lists(
        st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=3
    ),
    end=st.floats(0, 1),
)
def test_damaged_bytes(tmp_path_factory, good, changes, end):
    data = bytearray(good)
    for place, some in changes:
        start = int(place * (len(data) - 1))
        data[start : start + len(some)] = some
    path = tmp_path_factory.getbasetemp() / "strange.pt"
    path.write_bytes(data[: int(end * len(data))] if end < 0.5 else data)
    for read in (load_pickled, load_safetensors, load_checkpoint, read_tensors):
        try:
            read(path)
        except ValueError as error:
            assert str(path) in str(error)


def test_a_long_file_without_its_end_is_named(tmp_path):
    """PyTorch looks for the end of a zip file before its first byte, from 4 KB on."""
    path = tmp_path / "short.pt"
    torch.save({"weights": torch.zeros(3000)}, path)
    data = path.read_bytes()
    for size in range(4000, len(data), 97):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match=r"short\.pt is damaged"):
            load_pickled(path)


def test_a_file_that_cannot_be_opened_says_why(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.pt"):
        load_pickled(tmp_path / "absent.pt")
