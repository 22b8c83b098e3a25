"""The temporal heads against the authors' programs, which pad as `reference` does."""

import json

import numpy as np
import pytest
import torch

from ssdet.models import count_parameters
from ssdet.models.ms_tct import MsTct
from ssdet.models.pdan import DilatedAttention, Pdan
from ssdet.models.structure_filter import StructureFilters
from ssdet.models.super_events import SuperEvents
from ssdet.models.temporal_gaussian_mixture import TemporalGaussianMixture, TgmHead
from tests.golden.head_rules import heads_input, heads_tensor, heads_values, load_table

TOLERANCE = 1e-9


def mask_of(lengths, steps):
    return (torch.arange(steps) < torch.tensor(lengths)[:, None]).double()


def structure_filters(case, config, x):
    model = StructureFilters(config["N"], "cauchy")
    load_table(model, case)
    lengths = torch.tensor(config["lengths"])
    return model, {"filters": model(lengths, config["T"], "reference")}


def super_events(case, config, x):
    model = SuperEvents(
        width=config["D"],
        classes=config["classes"],
        filters=config["N"],
        merge=config["filter_merge"],
        dropout=0.7,
        padding="reference",
    )
    load_table(model, case)
    return model, {"logits": model(x, mask_of(config["lengths"], x.shape[2]))}


def tgm_layer(case, config, x):
    model = TemporalGaussianMixture(
        config["c_in"],
        config["c_out"],
        gaussians=config["num_gaussians"],
        length=config["length"],
    )
    load_table(model, case)
    return model, {
        "basis": model.basis(),
        "kernels": model.kernels(),
        "out": model(x),
    }


def three_tgm(case, config, x):
    model = TgmHead(
        width=config["D"],
        classes=config["classes"],
        channels=config["c"],
        gaussians=config["num_gaussians"],
        length=config["length"],
        kernel="cauchy",
        hidden=config["hidden"],
        filters=config.get("N"),
        dropout=0.5,
        padding="reference",
    )
    load_table(model, case)
    return model, {"logits": model(x, mask_of(config["lengths"], x.shape[2]))}


def dilated_attention(case, config, x):
    model = DilatedAttention(config["channels"], config["dilation"])
    load_table(model, case)
    return model, {"out": model(x)}


def pdan(case, config, x):
    model = Pdan(
        width=config["D"],
        classes=config["classes"],
        channels=config["channels"],
        blocks=config["layers"],
        stages=config["stages"],
        dropout=0.5,
        padding="reference",
    )
    load_table(model, case)
    mask = mask_of(config["lengths"], x.shape[2])
    stages = torch.stack(model.all_stages(x, mask))
    torch.testing.assert_close(model(x, mask), stages[-1])
    return model, {"stages": stages}


def ms_tct(case, config, x):
    model = MsTct(
        width=config["D"],
        classes=config["classes"],
        widths=config["inter_channels"],
        blocks=config["num_block"],
        heads=config["heads"],
        ratio=config["mlp_ratio"],
        mixed=config["embedding"],
        dropout=0.5,
    )
    load_table(model, case)
    found = model(x, torch.ones(x.shape[0], x.shape[2]))
    scales = model.encoder(x)
    mixed, plain = model.mixer(scales)
    return model, {
        "logits": found.logits.transpose(1, 2),
        "heatmap_logits": found.heat_map,
        **{f"f{i}": scale for i, scale in enumerate(scales, 1)},
        "mixed": mixed,
        "unmixed": plain,
    }


KINDS = {
    "structure_filter_cauchy": structure_filters,
    "super_events": super_events,
    "tgm_layer_cauchy": tgm_layer,
    "three_tgm": three_tgm,
    "three_tgm_plus_super_events": three_tgm,
    "dilated_attention_layer": dilated_attention,
    "pdan": pdan,
    "mstct": ms_tct,
}


@pytest.mark.golden("outputs.npz")
def test_forward(golden_file):
    listed = json.loads(golden_file.with_name("cases.json").read_text())
    with np.load(golden_file) as arrays:
        for case in listed["cases"]:
            config = case["config"]
            x = None if case["input"] is None else heads_input(case["input"])
            with torch.no_grad():
                model, found = KINDS[config["kind"]](case, config, x)
            assert count_parameters(model) == case["params"], case["case"]
            assert set(case["outputs"]) <= set(found), case["case"]
            for name, key in case["outputs"].items():
                np.testing.assert_allclose(
                    found[name], arrays[key], rtol=0, atol=TOLERANCE, err_msg=key
                )


@pytest.mark.golden("tgm_gaussian_basis.json")
def test_gaussian_basis(golden_file):
    for case in json.loads(golden_file.read_text())["cases"]:
        count, length = case["num_gaussians"], case["length"]
        filters = StructureFilters(count, "gaussian").double()
        with torch.no_grad():
            filters.center.copy_(0.9 * heads_tensor(case["seed"], 0, (count,)))
            filters.gamma.copy_(2.0 * heads_tensor(case["seed"], 1, (count,)))
            found = filters(torch.tensor([length]), length, "fixed")[0]
        np.testing.assert_allclose(found, case["basis"], rtol=0, atol=TOLERANCE)


def test_rule():
    found = heads_values(seed=0, k=0, count=3)
    np.testing.assert_allclose(found, [-0.51172415, 0.363343, -0.77284944], atol=5e-9)
