"""SPOT's network against the published program, in double precision."""

import json

import numpy as np
import pytest
import torch

from ssdet.models import count_parameters
from ssdet.models.snippet_attention import SnippetAttention
from ssdet.models.spot import Spot
from ssdet.models.spot_naming import import_reference, reference_name
from ssdet.train.spot_losses import class_loss, mask_loss, reconstruction_loss
from tests.golden.rules import spot_tensor, spot_uniform


def table_beside(file):
    return json.loads((file.parent / "state_dict.json").read_text())


def network(table, compat="reference"):
    shapes = {entry["name"]: entry["shape"] for entry in table["tensors"]}
    classes, channels, _ = shapes["classifier.0.weight"]
    hidden, snippets = shapes["global_mask.0.weight"][0], shapes["global_mask.2.weight"]
    model = Spot(
        inputs=channels,
        channels=channels,
        classes=classes - 1,
        snippets=snippets[0],
        heads=shapes["embedding.w_qs.weight"][0] // channels,
        mask_hidden=hidden,
        dropout_attention=0.1,
        dropout_out=0.3,
        order_blocks=5,
        positions=False,
        compat=compat,
    ).double()
    theirs = {
        f"module.{entry['name']}": torch.from_numpy(spot_tensor(entry))
        for entry in table["tensors"]
    }
    model.load_state_dict(import_reference(theirs, model))
    return model.eval()


def network_input(entry):
    return torch.from_numpy(
        entry["scale"] * (2 * spot_uniform(entry["shape"], entry["stream"]) - 1)
    )


@pytest.mark.golden("model/state_dict.json")
def test_names_shapes_and_size(golden_file):
    table = table_beside(golden_file)
    model = network(table)
    assert count_parameters(model) == table["total_parameters"]
    ours = {reference_name(n): list(x.shape) for n, x in model.state_dict().items()}
    counted = [e for e in table["tensors"] if e["fill"] != "arange"]
    assert ours == {e["name"]: e["shape"] for e in counted}


@pytest.mark.golden("model/forward.npz")
@pytest.mark.parametrize("compat", ["reference", "fixed"])
def test_outputs(golden_file, compat):
    table = table_beside(golden_file)
    about = json.loads((golden_file.parent / "expected.json").read_text())
    model, x = network(table, compat), network_input(about["input"])
    with torch.no_grad():
        found = model(x)
    outputs = {
        "features": found.embedded,
        "class_logits": found.logits,
        "mask": found.mask,
    }
    if compat == "reference":
        with torch.no_grad():
            outputs["clip_order_logits"] = model.order(x)
    with np.load(golden_file) as expected:
        for name, value in outputs.items():
            np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-6)
    for name, value in outputs.items():
        summary = about["summary"][name]
        assert list(value.shape) == summary["shape"]
        for key, number in (
            ("mean", value.mean()),
            ("std", value.std(correction=0)),
            ("min", value.min()),
            ("max", value.max()),
        ):
            assert number.item() == pytest.approx(summary[key], rel=0, abs=1e-6), key
        first = value.flatten()[:5].tolist()
        assert first == pytest.approx(summary["first"], rel=0, abs=1e-9)


@pytest.mark.golden("model/expected.json")
def test_losses_and_gradients(golden_file):
    about = json.loads(golden_file.read_text())
    model, x = network(table_beside(golden_file)), network_input(about["input"])
    expected = about["loss"]
    classes = torch.full((len(x), model.snippets), model.classes)
    mask = torch.zeros(len(x), model.snippets, model.snippets, dtype=torch.double)
    for video, segments in enumerate(expected["segments_half_open"]):
        for start, end, label in segments:
            classes[video, start:end] = label
            mask[video, start:end, start:end] = 1
    found = model(x)
    cls = 0.5 * class_loss(found.logits, classes, focal="batch")
    drawn = mask_loss(found.mask, mask, entropy_share=0.4)
    mse = reconstruction_loss(found.embedded, x)
    for key, value in (
        ("cls_weighted", cls),
        ("mask", drawn),
        ("supervised_total", cls + drawn),
        ("feature_mse", mse),
    ):
        assert value.item() == pytest.approx(expected[key], rel=0, abs=1e-6), key
    (cls + drawn + mse).backward()
    gradients = {reference_name(n): p.grad for n, p in model.named_parameters()}
    assert set(gradients) == set(expected["grads"])
    for name, numbers in expected["grads"].items():
        if numbers is None:
            assert gradients[name] is None, name
            continue
        norm = gradients[name].norm().item()
        assert norm == pytest.approx(numbers["l2"], rel=1e-6, abs=1e-6), name
        first = gradients[name].flatten()[:3].tolist()
        assert first == pytest.approx(numbers["first"], rel=1e-5, abs=1e-9), name


@pytest.mark.golden("small_embedding.json")
def test_one_block(golden_file):
    case = json.loads(golden_file.read_text())
    block = SnippetAttention(case["d_model"], case["heads"], 0.1, 0.3).double().eval()
    names = {"w_qs": "queries", "w_ks": "keys", "w_vs": "values", "fc": "out"}
    names["layer_norm"] = "norm"
    state = {}
    for entry in case["tensors"]:
        module, leaf = entry["name"].split(".")
        state[f"{names[module]}.{leaf}"] = torch.from_numpy(spot_tensor(entry))
    block.load_state_dict(state)
    with torch.no_grad():
        found = block(network_input(case["input"]))
    np.testing.assert_allclose(found, case["output"], rtol=0, atol=1e-9)
