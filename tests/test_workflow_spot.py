"""SPOT in the workflow: plans on stored features, and a real run on feature files."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.test_workflow import RESULTS, changed, plan, provenance, snakemake
from tests.train.spot_sets import WIDTH

pytestmark = pytest.mark.skipif(
    shutil.which("snakemake", path=str(Path(sys.executable).parent)) is None,
    reason="the workflow needs Snakemake: pip install ssdet[workflow]",
)


STAGES = ("pretrain_spot", "train_spot", "detect_spot", "evaluate_segments")


def test_plan_on_features_of_a_network_that_saw_no_labels(tmp_path):
    jobs = plan(tmp_path, f"{RESULTS}/charades_spot_50.json")
    for stage in ("pretrain", *STAGES):
        assert jobs[stage] == 1, stage
    assert jobs["extract_pretrained"] >= 2
    assert not jobs["train_fine"] and not jobs["extract_features"]


def test_plan_on_features_of_a_detector(tmp_path):
    """One stream makes the features of all videos; no other is trained."""
    config = changed(tmp_path, spot={"features": {"stage": "fine"}})
    jobs = plan(tmp_path, f"{RESULTS}/charades_spot_50.json", config=config)
    for stage in ("pretrain", "train_fine", *STAGES):
        assert jobs[stage] == 1, stage
    assert jobs["extract_features"] >= 2
    assert not jobs["train_coarse_fine"] and not jobs["extract_pretrained"]


def test_shares_have_one_pretraining(tmp_path):
    _, said = snakemake(
        tmp_path,
        "--dry-run",
        *(f"{RESULTS}/charades_spot_{labels}.json" for labels in (10, 60, 100)),
    )
    assert re.search(r"^pretrain_spot +1$", said, re.M)
    assert re.search(r"^train_spot +3$", said, re.M)


def test_plan_of_the_table_of_all_shares_and_seeds(tmp_path):
    """Two shares, two ways of training, two seeds; a pretraining for each seed."""
    config = changed(
        tmp_path,
        seeds={"tables": [1], "share": "features"},
        spot={"report": {"variants": ["supervised"], "datasets": ["charades"]}},
    )
    jobs = plan(tmp_path, f"{RESULTS}/tables/spot_charades.md", config=config)
    assert [jobs[rule] for rule in ("pretrain", "spot_table")] == [1] * 2
    assert jobs["pretrain_spot"] == 2
    assert jobs["train_spot"] == jobs["evaluate_segments"] == 8
    everything = plan(tmp_path, config=config)
    assert (everything["spot_table"], everything["train_spot"]) == (1, 8)


def test_a_variant_without_pretext_needs_no_pretraining(tmp_path):
    jobs = plan(tmp_path, f"{RESULTS}/charades_spot_10_supervised.json")
    assert (jobs["pretrain_spot"], jobs["train_spot"]) == (0, 1)


@pytest.mark.parametrize("labels", ["0", "101", "07"])
def test_impossible_shares(tmp_path, labels):
    target = f"{RESULTS}/charades_spot_{labels}.json"
    status, said = snakemake(tmp_path, "--dry-run", target)
    assert status == 1
    assert "MissingRule" in said


def own(folder, tables=None, **spot):
    """Config of a set of one's own with features in files."""
    table = {
        "format": "table",
        "videos": "unseen",
        "expected": None,
        "annotations": {
            "training": "labels.csv",
            "testing": "labels.csv",
            "classes": None,
        },
        "fps": 10,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "segments": "refuse",
    }
    features = {
        "source": "files",
        "width": WIDTH,
        "folders": {"mine": "features"},
        "tables": tables or {},
    }
    return changed(
        folder,
        datasets={"mine": table},
        spot={"features": features, **spot},
        validation={"fraction": 0.2},
        synthetic=None,
    )


def test_folders_that_are_not_there(tmp_path):
    status, said = snakemake(
        tmp_path, "--dry-run", f"{RESULTS}/mine_spot_50.json", config=own(tmp_path)
    )
    assert status == 1
    assert "spot.features.folders.mine: no folder features" in said
    assert "datasets.mine.annotations.training: no file labels.csv" in said
    assert "unseen" not in said  # videos are not needed


def test_pretraining_on_labels_of_spot(tmp_path):
    """SPOT on features of others, its labels over time, then the pretraining."""
    rows = [
        f"v{n},1,2,c{n % 2},{s}" for n, s in enumerate(["training"] * 3 + ["testing"])
    ]
    rows = ["video_id,start_s,end_s,label,split", *rows]
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    for folder in ("features", "unseen"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "v0.mp4").touch()
    own(tmp_path)
    more = yaml.safe_load((tmp_path / "changed.yaml").read_text())
    labels = f"{RESULTS}/mine/spot/10/frame_labels.h5"
    more |= {"classification": "mine", "pretrain": {"frame_labels": labels}}
    config = changed(tmp_path, **more)
    target = f"{RESULTS}/pretrain/cls/checkpoint.pt"
    jobs = plan(tmp_path, target, config=config)
    stages = ("pretrain_spot", "train_spot", "label_frames", "pretrain")
    assert [jobs[stage] for stage in stages] == [1] * 4
    assert not jobs["detect_spot"] and not jobs["extract_features"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (f"{RESULTS}/charades/spot/10/frame_labels.h5", "trained after pretraining"),
        ("other/frame_labels.h5", "pretrain.frame_labels: no file other/frame_labels"),
    ],
)
def test_labels_that_cannot_be_there_before_pretraining(tmp_path, path, message):
    config = changed(tmp_path, pretrain={"frame_labels": path})
    target = f"{RESULTS}/pretrain/cls/checkpoint.pt"
    status, said = snakemake(tmp_path, "--dry-run", target, config=config)
    assert (status, message in said) == (1, True), said


@pytest.mark.slow
def test_from_feature_files_to_a_result(tmp_path):
    """A real run; then what changed sections rerun."""
    source = np.random.default_rng(0)
    (tmp_path / "features").mkdir()
    rows = ["video_id,start_s,end_s,label,split"]
    for number in range(12):
        split = "testing" if number > 8 else "training"
        start, label = 2 + number % 4, number % 2
        x = source.normal(size=(20, WIDTH)).astype(np.float32)
        x[start : start + 8, label] += 5
        np.save(tmp_path / "features" / f"v{number:02d}.npy", x)
        rows.append(f"v{number:02d},{start},{start + 8},c{label},{split}")
        rows.append(f"v{number:02d},19,20,c{label},{split}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    target = f"{RESULTS}/tables/spot_mine.md"
    report = {"labels": [50], "variants": ["supervised"]}
    config = own(tmp_path, report=report)
    status, said = snakemake(tmp_path, target, config=config)
    assert status == 1  # nothing states the durations
    log = (tmp_path / RESULTS / "logs" / "pretrain_spot" / "mine.log").read_text()
    assert "how long 9 videos are is not known" in log
    assert "Traceback" not in log
    lines = [f"v{number:02d},200,20,200" for number in range(12)]
    header = "video,numFrame,seconds,featureFrame"
    (tmp_path / "videos.csv").write_text("\n".join([header, *lines]) + "\n")
    config = own(tmp_path, tables={"mine": "videos.csv"}, report=report)
    status, said = snakemake(tmp_path, target, config=config)
    assert status == 0, said
    results = [
        json.loads((tmp_path / RESULTS / f"mine_spot_50{variant}.json").read_text())
        for variant in ("", "_supervised")
    ]
    assert [result["name"] for result in results] == ["spot_50", "spot_50_supervised"]
    logs = tmp_path / RESULTS / "logs" / "train_spot" / "mine"
    told = [(logs / f"50{variant}.log").read_text() for variant in ("", "_supervised")]
    assert "and 4 without, 4 of them trained on" in told[0]
    assert "and 4 without, 0 of them trained on" in told[1]
    text = (tmp_path / target).read_text()
    assert "| SPOT             |        50 |" in text
    assert "| SPOT, supervised |        50 |" in text
    result = results[0]
    assert result["videos"]["expected"] == result["videos"]["evaluated"] == 3
    assert result["provenance"]["stage"] == "evaluate_segments"
    blind = result["metrics"]["content_free"]["most_frequent"]
    assert (blind["label"], blind["videos"]) == ("c0", 3)
    status, tree = provenance(tmp_path, f"{RESULTS}/mine_spot_50.json")
    edges = {e["name"]: e for node in tree["nodes"] for e in node["parents"]}
    assert (status, {edge["state"] for edge in edges.values()}) == (0, {"ok"})
    assert edges["features"]["path"] == "features"
    assert {"detections", "checkpoint", "init", "features_table"} <= edges.keys()
    assert plan(tmp_path, target, config=config) == {}
    given = {"tables": {"mine": "videos.csv"}, "report": report}
    other = own(tmp_path, **given, detect={"sigma": 0.5})
    assert plan(tmp_path, target, config=other) == {
        "detect_spot": 2,
        "evaluate_segments": 2,
        "spot_table": 1,
    }
    variants = {"supervised": {"contrast": 0.5}}
    other = own(tmp_path, **given, variants=variants)
    assert plan(tmp_path, target, config=other)["train_spot"] == 1
