"""The stage `cost`: what is counted for each result, and what it is compared with."""

import csv
import json

import pytest

from ssdet.models.cost import Cost
from ssdet.report import cost

PAPER = '{"depth_factor":2.2,"width_factor":2.0,"head_width":2048,"dropout":0.5}'
FINE = {"kind": "fine", "pretext": "cls"}
SLOWFAST = [{"kind": "slowfast", "slow": p, "fast": p} for p in ("cls", "mixup")]
COSTS = {
    "backbone": Cost(10, 10_000_000_000, 10_000_000_000),
    "head": Cost(1, 1_000_000_000, 1_000_000_000),
    "fused": Cost(100, 100_000_000_000, 200_000_000_000),
}


def pair(coarse, fine):
    return {"kind": "coarse_fine", "coarse": coarse, "fine": fine}


def run(folder, results, model=PAPER, crop=224):
    out = folder / "cost.csv", folder / "cost.md"
    given = ["--out-csv", str(out[0]), "--out-md", str(out[1])]
    sizes = ["--model", model, "--crop", str(crop), "--pool", "7"]
    cost.main([*sizes, "--results", json.dumps(results), *given])
    with open(out[0], newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    return rows, out[1].read_text()


def test_our_counts_beside_the_papers(tmp_path):
    """Source: spec of Coarse-Fine, section 11: within 0.6 % of the CVPR paper's."""
    results = {
        "single": [FINE],
        "pair": [pair("cls", "cls")],
        "both": SLOWFAST[:1],
        "alone": [{"kind": "slow", "pretext": "cls"}],
        "coarse": [{"kind": "coarse", "pretext": "cls"}],
    }
    rows, text = run(tmp_path, results)
    published = {
        name: (row["cvpr_2021_billion"], row["aaai_2023_billion"])
        for name, row in rows.items()
    }
    assert published == {
        "single": ("37.8", "37.96"),
        "pair": ("60.6", "73.37"),
        "both": ("54.4", "54.4"),
        "alone": ("", ""),
        "coarse": ("", ""),
    }
    for name in ("single", "pair", "both"):
        assert abs(float(rows[name]["difference_cvpr_2021_percent"])) < 0.6, name
    assert float(rows["pair"]["difference_aaai_2023_percent"]) < -17
    assert float(rows["pair"]["parameters_million"]) == 4.532327 + 2.089986
    assert float(rows["coarse"]["as_published_billion"]) == pytest.approx(
        16.54, abs=0.01
    )
    assert "| pair   | Coarse-Fine  |" in text
    assert "128 frames" in text
    assert "left out" not in text


def test_temporal_heads_are_counted_with_their_detector(tmp_path):
    """X3D + SE, X3D + SE + TGM: 38.5 and 38.3 in the SSDet paper's figure."""
    se = {"kind": "super_events", "filters": 3, "merge": "max"}
    tgm = {"kind": "tgm", "channels": 8, "gaussians": 16, "length": 5}
    tgm |= {"kernel": "cauchy", "hidden": 512, "filters": 3}
    rest = {"dropout": 0.5, "padding": "fixed"}

    def model(name, network, pretext="cls"):
        head = {"kind": "head", "head": name, "pretext": pretext, "epoch": "last"}
        return {**head, "network": network | rest, "features": "head"}

    results = {
        "x3d": [FINE],
        "se": [model("se", se)],
        "tgm": [model("tgm", tgm)],
        "two": [model("se", se), model("se", se, "mixup")],
        "shared": [model("se", se), model("tgm", tgm)],
        "external": [{"kind": "head", "head": "se", "pretext": "i3d"}],
    }
    rows, text = run(tmp_path, results)
    found = {n: float(r["multiply_adds_billion"] or 0) for n, r in rows.items()}
    assert found["se"] == pytest.approx(38.0, abs=0.05)
    assert found["tgm"] == pytest.approx(38.4, abs=0.05)
    assert found["two"] == pytest.approx(2 * found["se"])
    assert found["shared"] < found["tgm"] + 0.1
    assert "Not counted (-): external" in text


def test_a_shared_fine_stream_is_counted_once():
    """Two pairs on one fine stream, which may be a member too, with its head."""
    row = cost.row("x", [pair("a", "f"), pair("b", "f")], COSTS, papers=True)
    assert row["parameters_million"] == pytest.approx(210e-6)
    assert row["multiply_adds_billion"] == 210
    assert row["as_published_billion"] == 410
    fine = {"kind": "fine", "pretext": "f"}
    row = cost.row("x", [pair("a", "f"), pair("b", "f"), fine], COSTS, papers=True)
    assert row["multiply_adds_billion"] == 211
    assert row["networks"] == "2 Coarse-Fine + X3D"
    row = cost.row("x", [pair("a", "f"), pair("b", "g")], COSTS, papers=True)
    assert row["multiply_adds_billion"] == 220


def test_a_stream_trained_with_another_is_shared_with_none():
    joint = pair("c", "f") | {"kind": "end_to_end"}
    row = cost.row("x", [joint], COSTS, papers=True)
    assert row["parameters_million"] == pytest.approx(110e-6)
    assert (row["networks"], row["cvpr_2021_billion"]) == (
        "Coarse-Fine, end to end",
        None,
    )
    row = cost.row("x", [joint, pair("c", "f")], COSTS, papers=True)
    assert row["multiply_adds_billion"] == 220


def test_published_ensembles(tmp_path):
    pairs = [pair(x, y) for x in ("freeze", "mixup", "cutmix") for y in ("cls", x)]
    singles = [{"kind": "fine", "pretext": x} for x in ("freeze", "mixup", "cutmix")]
    rows, _ = run(tmp_path, {"singles": singles, "six": pairs})
    assert rows["singles"]["aaai_2023_billion"] == "113.9"
    assert float(rows["singles"]["as_published_billion"]) == pytest.approx(114, abs=0.1)
    # four fine streams and six coarse ones
    expected = 4 * 37.845 + 6 * 22.9796
    assert float(rows["six"]["as_published_billion"]) == pytest.approx(expected, 1e-4)


@pytest.mark.parametrize("given", [{"crop": 160}, {"model": PAPER.replace("2.2", "1")}])
def test_another_network_is_not_compared(tmp_path, given):
    rows, text = run(tmp_path, {"single": [FINE]}, **given)
    assert rows["single"]["cvpr_2021_billion"] == ""
    assert float(rows["single"]["multiply_adds_billion"]) < 37
    assert "papers' counts are left out" in text


def test_what_is_not_counted_is_named(tmp_path):
    other = {"kind": "another", "pretext": "cls"}
    rows, text = run(tmp_path, {"new": [other], "mixed": [FINE, other], "old": [FINE]})
    assert rows["new"]["parameters_million"] == rows["mixed"]["parameters_million"]
    assert rows["new"]["parameters_million"] == ""
    assert rows["mixed"]["networks"] == "another + X3D"
    assert "Not counted (-): new, mixed.\n" in text
