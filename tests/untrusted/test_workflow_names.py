"""Strange names in the workflow: a real run of what is legal, a refusal of the rest."""

import csv

import numpy as np
import pytest
import yaml

from ssdet.data.frame_store import FrameStore
from ssdet.data.synthetic_video import encode
from tests.test_workflow import RECIPE, pytestmark, snakemake

# A shell would split, expand, end or comment out what is not quoted.
FOLDER = "it's a; touch x & (b) #c|d*e?~ !f %s"
VIDEOS = ("$(touch x)", "a' ; touch x #", "`touch x`", "{config}", "-rf --out", "=1+1")

__all__ = ["pytestmark"]  # without Snakemake, these skip too


@pytest.mark.slow
def test_strange_names_reach_no_shell(tmp_path):
    """Paths, video ids, classes and an excluded id, through two stages, for real."""
    home = tmp_path / FOLDER
    (home / "videos").mkdir(parents=True)
    pictures = np.zeros((20, 64, 64, 3), np.uint8)
    for video in VIDEOS:
        (home / "videos" / f"{video}.mp4").write_bytes(encode(pictures, 64, 10, video))
    table = [("video_id", "start_s", "end_s", "label", "split")]
    table += [(v, 0, 1, f"<b>{v}|</b>", "training") for v in VIDEOS[1:]]
    table += [(v, "", "", "", "testing") for v in (VIDEOS[0], "$(touch excluded)")]
    with (home / "labels'.csv").open("w", newline="") as file:
        csv.writer(file).writerows(table)
    labels = f"{FOLDER}/labels'.csv"
    strange = {
        "format": "table",
        "videos": f"{FOLDER}/videos",
        "annotations": {"training": labels, "testing": labels, "classes": None},
        "fps": 5,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.2, 0.2, 0.2],
        "segments": "repair",
        "expected": None,
    }
    config = {
        "results": f"{FOLDER}/results",
        "datasets": {"strange": strange},
        "data": {"exclude": ["$(touch excluded)", "$(touch of_no_set)", "a\nb{c}"]},
        "frames": {"short_side": 32, "shard_videos": 64},
    }
    (tmp_path / "strange.yaml").write_text(yaml.safe_dump(config))
    target = f"{FOLDER}/results/strange/frames/shard-000.h5"
    status, said = snakemake(
        tmp_path, "--", target, config=(RECIPE, tmp_path / "strange.yaml")
    )
    assert status == 0, said
    with (home / "results" / "strange" / "inventory.csv").open(newline="") as file:
        rows = {row["video_id"]: row["status"] for row in csv.DictReader(file)}
    assert rows == dict.fromkeys(VIDEOS, "ok") | {"$(touch excluded)": "excluded"}
    store = FrameStore(home / "results" / "strange" / "frames")
    assert store.video_ids == sorted(VIDEOS)
    assert store.read("$(touch x)", [0]).shape == (3, 1, 32, 32)
    made = {path.name for path in tmp_path.rglob("*")}
    assert not made & {"x", "excluded", "of_no_set", "touch"}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [".snakemake", FOLDER, "strange.yaml"]
    )


def test_paths_that_act_in_a_shell_stop_the_plan(tmp_path):
    (tmp_path / "strange.yaml").write_text(
        yaml.safe_dump({"results": "$(touch x)", "pretrain": {"init": "`touch x`"}})
    )
    config = (RECIPE, tmp_path / "strange.yaml")
    status, said = snakemake(tmp_path, "--dry-run", config=config)
    assert status == 1
    assert "results: the path '$(touch x)' holds $, upon which shells" in said
    assert "pretrain.init: the path '`touch x`' holds `" in said
    assert "Traceback" not in said
    assert not (tmp_path / "x").exists()
