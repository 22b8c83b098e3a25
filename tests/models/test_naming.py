import csv
import re
from pathlib import Path

import pytest
import torch

from ssdet.models import CoarseFine, X3DDetector
from ssdet.models.naming import foreign_name, import_state
from ssdet.models.x3d import PRESETS

TABLE = Path(__file__).parent / "x3d_m_state_dict.tsv"
TINY = {"depth_factor": 0.5, "width_factor": 0.5, "head_width": 16, "dropout": 0.5}


def tiny(classes=5):
    return X3DDetector(**TINY, classes=classes, mode="loc").eval()


def x3d_m():
    depth_factor, width_factor = PRESETS["x3d_m"]
    with torch.device("meta"):
        return X3DDetector(
            depth_factor=depth_factor,
            width_factor=width_factor,
            head_width=2048,
            classes=400,
            dropout=0.5,
            mode="class",
        )


def test_the_whole_table_of_names():
    with TABLE.open(newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file, delimiter="\t")
            if not re.search(r"num_batches_tracked|split_bn", row["reference_name"])
        ]
    shapes = {name: tuple(t.shape) for name, t in x3d_m().state_dict().items()}
    for family, column in (
        ("reference", "reference_name"),
        ("slowfast", "slowfast_name"),
        ("pytorchvideo", "pytorchvideo_name"),
    ):
        ours = {foreign_name(name, family): shape for name, shape in shapes.items()}
        theirs = {
            row[column].replace(".bn.running_", ".running_")
            if family == "reference"
            else row[column]: tuple(map(int, row["shape"].split("x")))
            for row in rows
            if not row[column].startswith("(absent")
        }
        absent = {} if family != "pytorchvideo" else first_shortcut_norm(ours)
        assert ours == theirs | absent, family


def first_shortcut_norm(ours):
    norm = "blocks.1.res_blocks.0.branch1_norm."
    return {name: shape for name, shape in ours.items() if name.startswith(norm)}


@pytest.mark.parametrize("family", ["reference", "slowfast", "pytorchvideo"])
def test_imported_weights_give_the_same_logits(family):
    torch.manual_seed(0)
    model = tiny()
    state = {foreign_name(n, family): t for n, t in model.state_dict().items()}
    if family == "pytorchvideo":
        for name in first_shortcut_norm(state):
            del state[name]
        neutral = model.backbone.stages[0][0].shortcut_norm
        neutral.eval()
        with torch.no_grad():
            neutral.running_var.fill_(1 - 1e-5)
    counter = "bn5.num_batches_tracked"
    state[counter] = torch.tensor(7)
    other = tiny()
    other.load_state_dict(import_state(state, other, family))
    video = torch.randn(1, 3, 2, 32, 32)
    torch.testing.assert_close(other(video), model(video))


def test_a_norm_that_is_absent_changes_nothing():
    model = tiny()
    state = {foreign_name(n, "pytorchvideo"): t for n, t in model.state_dict().items()}
    for name in first_shortcut_norm(state):
        del state[name]
    model.load_state_dict(import_state(state, model, "pytorchvideo"))
    x = torch.randn(1, 8, 2, 3, 3)
    torch.testing.assert_close(model.backbone.stages[0][0].shortcut_norm(x), x)


def test_forms_of_the_reference():
    """Split statistics are left out, evaluation's taken, linear layers reshaped."""
    model = tiny()
    state = {}
    for name, tensor in model.state_dict().items():
        theirs = foreign_name(name, "reference")
        if "running_" in theirs:
            module, _, leaf = theirs.rpartition(".")
            state[f"{module}.bn.{leaf}"] = tensor + 1
            state[f"{module}.split_bn.{leaf}"] = tensor.repeat(2)
            state[f"{module}.bn.num_batches_tracked"] = torch.tensor(3)
        elif theirs == "fc1.weight":
            state[theirs] = tensor[..., 0, 0, 0]
        else:
            state[theirs] = tensor
    imported = import_state(state, model, "reference")
    assert torch.equal(imported["backbone.stem.norm.running_mean"], torch.ones(8))
    assert imported["head.fc1.weight"].shape == (16, 108, 1, 1, 1)
    model.load_state_dict(imported)


def test_names_of_the_coarse_fine_network():
    model = CoarseFine(
        **TINY,
        classes=5,
        fine_frames=128,
        compat="fixed",
        unpool="resize",
        film_init="default",
    )
    names = {name: foreign_name(name, "reference") for name in model.state_dict()}
    assert len(set(names.values())) == len(names)
    for ours, theirs in (
        ("trunk.backbone.stem.temporal.weight", "conv1_t.weight"),
        ("trunk.backbone.stages.2.1.project_norm.bias", "layer3.1.bn3.bias"),
        ("grid_pool.norm2.running_var", "pool_1.bn2.running_var"),
        ("fusion.depths.0.attention.out.weight", "rw2.at2.weight"),
        ("fusion.depths.3.scale.hidden.bias", "rw5.fc3.bias"),
        ("fusion.logits.shift.out.weight", "rw6.fc2.weight"),
        ("fusion.mixes.1.scale.weight", "mix3.conv_at2.weight"),
    ):
        assert names[ours] == theirs
    with pytest.raises(KeyError, match="slowfast has no grid_pool"):
        foreign_name("grid_pool.conv1.weight", "slowfast")
    state = {theirs: model.state_dict()[ours] for ours, theirs in names.items()}
    model.load_state_dict(import_state(state, model, "reference"))


def test_differences_are_all_named():
    model = tiny()
    state = {foreign_name(n, "slowfast"): t for n, t in model.state_dict().items()}
    del state["head.conv_5.weight"]
    state["extra"] = torch.zeros(1)
    state["head.lin_5.weight"] = torch.zeros(3, 4)
    with pytest.raises(
        ValueError,
        match=r"not slowfast weights .* \(3 differences\): no head\.conv_5\.weight;"
        r" unknown extra; head\.lin_5\.weight is \(3, 4, 1, 1, 1\), not",
    ):
        import_state(state, model, "slowfast")


def test_another_number_of_classes_is_the_callers_matter():
    model, source = tiny(5), tiny(9)
    state = {foreign_name(n, "slowfast"): t for n, t in source.state_dict().items()}
    imported = import_state(state, model, "slowfast")
    assert imported["head.fc2.bias"].shape == (9,)
