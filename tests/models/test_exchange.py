import json
import os

import pytest
import torch

from ssdet import cli
from ssdet.models.detector import X3DDetector
from ssdet.models.exchange import read_weights, write_weights
from ssdet.models.naming import foreign_name
from ssdet.models.x3d import PRESETS

FIRST_NORM = "backbone.stages.0.0.shortcut_norm."
VIDEO = torch.rand(1, 3, 2, 32, 32, generator=torch.Generator().manual_seed(0))


def network(classes=7, preset="x3d_m"):
    torch.manual_seed(0)
    depth_factor, width_factor = PRESETS[preset]
    model = X3DDetector(
        depth_factor=depth_factor,
        width_factor=width_factor,
        head_width=2048,
        classes=classes,
        dropout=0.5,
        mode="loc",
    ).eval()
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    return model


def neutral(model):
    """As if it had no norm on the first shortcut."""
    norm = model.backbone.stages[0][0].shortcut_norm
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - 1e-5)
    return model


def as_theirs(model, family):
    state = {foreign_name(n, family): t for n, t in model.state_dict().items()}
    if family == "pytorchvideo":
        first = {foreign_name(n, family) for n in model.state_dict() if FIRST_NORM in n}
        state = {name: tensor for name, tensor in state.items() if name not in first}
    return state


@pytest.mark.parametrize(
    ("family", "wrapper"),
    [
        ("slowfast", "model_state"),
        ("pytorchvideo", "model_state"),
        ("reference", "model_state_dict"),
    ],
)
def test_their_file_gives_the_same_logits(family, wrapper, tmp_path, capsys):
    model = neutral(network())
    source, out = tmp_path / "theirs.pyth", tmp_path / "ours.safetensors"
    state = as_theirs(model, family) | {"epoch.num_batches_tracked": torch.tensor(3)}
    torch.save({wrapper: state, "epoch": 3}, source)
    assert cli.main(["convert", str(source), str(out)]) == 0
    ours = network(classes=7)
    ours.load_state_dict(read_weights(out).state)
    with torch.inference_mode():
        torch.testing.assert_close(ours(VIDEO), model(VIDEO))
    said = capsys.readouterr().out
    assert "epoch.num_batches_tracked" in said
    assert "484 tensors of x3d_m, 7 classes" in said
    manifest = json.loads((tmp_path / "ours.safetensors.json").read_text())
    assert manifest["from"] == family
    assert len(manifest["source"]["sha256"]) == 64


@pytest.mark.parametrize("family", ["slowfast", "pytorchvideo", "reference"])
def test_round_trip_is_exact(family, tmp_path):
    model = neutral(network())
    torch.save({"weights": model.state_dict()}, tmp_path / "ours.pt")
    weights = read_weights(tmp_path / "ours.pt")
    write_weights(tmp_path / "theirs.pyth", weights, family, tmp_path / "ours.pt")
    again = read_weights(tmp_path / "theirs.pyth")
    assert again.names == family
    assert again.state.keys() == weights.state.keys()
    for name, tensor in weights.state.items():
        assert torch.equal(again.state[name], tensor), name


def test_larger_networks_are_recognised(tmp_path):
    torch.save(network(preset="x3d_l").state_dict(), tmp_path / "large.pt")
    assert read_weights(tmp_path / "large.pt").preset == "x3d_l"


def test_a_norm_that_pytorchvideo_has_not_is_refused(tmp_path):
    torch.save(network().state_dict(), tmp_path / "ours.pt")
    weights = read_weights(tmp_path / "ours.pt")
    with pytest.raises(ValueError, match="no norm on its first shortcut"):
        write_weights(
            tmp_path / "t.pyth", weights, "pytorchvideo", tmp_path / "ours.pt"
        )
    assert not (tmp_path / "t.pyth").exists()


class Harmful:
    def __reduce__(self):
        return os.system, ("touch harmed",)


def test_a_file_that_would_run_code_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save({"model_state": {"x": Harmful()}}, tmp_path / "harmful.pyth")
    assert cli.main(["convert", "harmful.pyth", "out.safetensors"]) == 1
    assert "could run code" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["harmful.pyth"]


def test_what_is_no_x3d_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no weights at"):
        read_weights(tmp_path / "absent.pt")
    torch.save({"fc.weight": torch.ones(1)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"names of none of ours, .*fc\.weight"):
        read_weights(tmp_path / "other.pt")
    state = network().state_dict()
    del state["backbone.conv5.weight"]
    torch.save(state, tmp_path / "cut.pt")
    with pytest.raises(ValueError, match=r"x3d_m: no backbone\.conv5\.weight"):
        read_weights(tmp_path / "cut.pt")
