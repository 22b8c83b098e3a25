import re
from pathlib import Path

import pytest

from ssdet.commands.lineage import stale
from ssdet.commands.lineage.records import Record
from ssdet.commands.lineage.walk import Edge, Node
from ssdet.data.inventory import InventoryRow
from tests.tiny import tiny_config

ROWS = tuple(
    InventoryRow(name, "", 0, 0, 0, 0, 0, 0, "", "", "missing", "") for name in "ab"
)


def node(stage, config, path="results/test/x", rows=(), **content):
    now = stale.revision(stage)
    block = {"stage": stage, "revision": now, "config": config, "parents": {}}
    record = Record(block, "charades", content=content)
    return Node(path, record=record, rows=rows)


def reasons(cfg, *given, **content):
    return list(stale.stale(node(*given, **content), cfg))


@pytest.mark.parametrize("stage", stale.MODULES)
def test_every_stage_has_a_revision(stage):
    assert stale.revision(stage) >= 1


def test_every_stage_that_writes_a_block_is_known():
    """Names that modules hand to `block`, `begin` and the like, or call STAGE."""
    calls = r"(?:block|begin|begin_from|inference_block),?\(?\s*(?:\{.*?\},\s*)?"
    found = set()
    for path in Path(stale.PACKAGE).rglob("*.py"):
        text = path.read_text()
        found |= set(re.findall(calls + r'"(\w+)"', text, re.S))
        found |= set(re.findall(r'^STAGE = "(\w+)"', text, re.M))
    assert {"fine", "predict", "train_spot", "extract_frames"} <= found
    assert found <= stale.MODULES.keys()


def test_sections_of_spot_have_the_names_of_others():
    cfg = tiny_config()
    network = cfg.spot.network.model_dump(mode="json")
    config = {"network": network, "pretrain": cfg.spot.pretrain.model_dump(mode="json")}
    config["features"] = cfg.spot.features.without_paths()
    config |= {"labelled": "50", "split_seed": str(cfg.spot.labels.seed)}
    assert reasons(cfg, "train_spot", config) == []
    network["channels"] += 1
    (line,) = reasons(cfg, "train_spot", config)
    assert line.startswith("spot.network.channels: ")


def test_a_name_is_no_section():
    """coarse_fine is told which coarse stream it has; coarse is a section too."""
    cfg = tiny_config()
    assert reasons(cfg, "coarse_fine", {"coarse": "cls", "fine": "freeze"}) == []
    section = cfg.coarse.model_dump(mode="json")
    assert reasons(cfg, "coarse", {"coarse": section}) == []
    line = f"coarse.epochs: {section['epochs'] + 1} -> {section['epochs']}"
    section["epochs"] += 1
    assert reasons(cfg, "coarse", {"coarse": section}) == [line]


def test_a_head_is_compared_with_its_schedule_for_the_data_set():
    cfg = tiny_config()
    section = cfg.head.section("pdan", "charades").model_dump(mode="json")
    config = {"head": section, "head_name": "pdan"}
    assert reasons(cfg, "head", config) == []
    section["training"]["epochs"] += 1
    (line,) = reasons(cfg, "head", config)
    assert line.startswith("head.heads.pdan.training.epochs: ")
    config["head_name"] = "gone"
    (line,) = reasons(cfg, "head", config)
    assert line.startswith("head.heads.gone: ") and line.endswith("-> null")


def test_excluded_videos_count_if_they_are_of_the_set():
    cfg = tiny_config(data={"exclude": ["b", "of another set"]})
    allowed = cfg.data.allowed("charades")
    config = {"data": {"max_missing_fraction": allowed, "exclude": []}}
    assert reasons(cfg, "inventory", config, "i.csv", ROWS) == [
        'data.exclude: [] -> ["b"]'
    ]
    config["data"]["exclude"] = ["b"]
    assert reasons(cfg, "inventory", config, "i.csv", ROWS) == []


def test_a_stage_that_reads_part_of_a_recipe_is_compared_in_that_part():
    cfg = tiny_config()
    assert reasons(cfg, "extract_frames", {"dataset": {"fps": 12.0}}) == []
    assert reasons(cfg, "extract_frames", {"dataset": {"fps": 10.0}}) == [
        "datasets.charades.fps: 10.0 -> 12.0"
    ]
    assert len(reasons(cfg, "fine", {"dataset": {"fps": 12.0}})) > 1


def test_models_and_data_sets_that_are_gone():
    cfg = tiny_config()
    models = {"models": {"gone": {"kind": "fine", "pretext": "cls"}}}
    assert reasons(cfg, "ensemble", models) == [
        'models.gone: {"kind": "fine", "pretext": "cls"} -> none'
    ]
    record = Record(node("fine", {}).record.block, "gone")
    assert stale.stale(Node("x", record=record), cfg) == (
        "datasets.gone: no longer in the configuration",
    )


def test_the_seed_is_that_of_the_folder():
    cfg = tiny_config()
    for path, seed in [("charades/x.pt", 0), ("seed_3/charades/x.pt", 3)]:
        place = f"{cfg.results}/{path}"
        assert reasons(cfg, "fine", {"seed": seed}, place) == []
        assert reasons(cfg, "fine", {"seed": 9}, place) == [f"seed: 9 -> {seed}"]
    assert reasons(cfg, "ensemble", {}, seed=5) == ["seed: 5 -> 0"]


def test_whose_results_these_are():
    cfg = tiny_config()
    theirs = Edge("inventory", Node(f"{cfg.results}/charades/inventory.csv"), "", "ok")
    other = Edge("inventory", Node("results/mine/inventory.csv"), "", "ok")
    assert stale.is_of(cfg, [Node("x", parents=[other, theirs])])
    assert not stale.is_of(cfg, [Node("x", parents=[other])])
