"""One's own videos through the whole chain, by config alone.

The videos are real ones (H.264, HEVC, MPEG-4, one rotated, one corrupt); they may not
be passed on, so this test skips where they are absent. Made-up videos of the same kinds
are read in tests/data.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
CLIPS = """video_id,start_s,end_s,label,split
v_GGSY1Qvo990,0,18.1,lifting,training
arm_wrestling,0,10.0,hands,training
h265,0,1.0,text,training
short_clip,0,6.5,hands,testing
"""
ACTIONS = """video_id,start_s,end_s,label,split
v_GGSY1Qvo990,5.82,16.20,clean_and_jerk,training
arm_wrestling,0.5,9.8,hand_at_work,training
rotated_90,,,,training
short_clip,0.0,6.5,hand_at_work,testing
v_GGSY1Qvo990_copy,5.82,16.20,clean_and_jerk,testing
h265,,,,testing
"""
CORRUPT = "corrupted,,,,testing\n"

pytestmark = pytest.mark.slow
# They would choose their best weights on videos set aside, of which there are none.
STREAMS = ("coarse_fine", "coarse", "slowfast", "end_to_end")


def table(path, videos):
    return {
        "format": "table",
        "videos": str(videos),
        "annotations": {
            "training": str(path),
            "testing": str(path),
            "classes": None,
        },
        "fps": 10,
        "mean": [0.45, 0.45, 0.45],
        "std": [0.225, 0.225, 0.225],
        "segments": "refuse",
        "expected": None,
    }


@pytest.fixture
def folder(shared, tmp_path):
    """Videos, tables and the config that names them."""
    videos = tmp_path / "videos"
    videos.mkdir()
    for path in (shared / "data" / "videos").iterdir():
        (videos / path.name).symlink_to(path)
    lifted = shared / "data" / "videos" / "v_GGSY1Qvo990.mp4"
    (videos / "v_GGSY1Qvo990_copy.mp4").symlink_to(lifted)
    (tmp_path / "clips.csv").write_text(CLIPS)
    (tmp_path / "actions.csv").write_text(ACTIONS)
    config = {
        "results": "results",
        "classification": "clips",
        "datasets": {
            "clips": table(tmp_path / "clips.csv", videos),
            "mine": table(tmp_path / "actions.csv", videos),
        },
        "synthetic": None,
        "validation": {"fraction": 0},
        **{stage: {"keep": "last"} for stage in STREAMS},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def run(folder, target, **overrides):
    """Run the workflow on the tiny recipe and the folder's videos."""
    (folder / "more.yaml").write_text(yaml.safe_dump(overrides))
    files = [ROOT / "config" / "config.yaml", ROOT / "config" / "test.yaml"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake"),
            *("--snakefile", str(ROOT / "workflow" / "Snakefile")),
            *("--configfile", *map(str, files), "mine.yaml", "more.yaml"),
            *("--cores", "2", target),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return done.returncode, done.stdout + done.stderr


def test_own_videos_train_by_config_alone(folder):
    status, said = run(folder, "results/mine_ensemble.json")
    assert status == 0, said
    result = json.loads((folder / "results" / "mine_ensemble.json").read_text())
    assert result["videos"]["expected"] == result["videos"]["evaluated"] == 3
    ap = {entry["class"]: entry["ap"] for entry in result["metrics"]["per_class"]}
    assert set(ap) == {"clean_and_jerk", "hand_at_work"}
    assert all(0 <= value <= 1 for value in ap.values())
    rows = (folder / "results" / "mine" / "inventory.csv").read_text().splitlines()
    rotated = next(row for row in rows if row.startswith("rotated_90,"))
    assert ",320,568," in rotated  # width and height, the rotation applied


def test_a_corrupt_video_stops_the_inventory_or_is_counted(folder):
    with open(folder / "actions.csv", "a") as file:
        file.write(CORRUPT)
    status, said = run(folder, "results/mine/inventory.csv")
    assert status != 0
    assert "corrupted" in said
    assert "data.max_missing_fraction" in said
    assert not (folder / "results" / "mine" / "inventory.csv").exists()

    allowed = {"data": {"max_missing_fraction": 0.2}}
    status, said = run(folder, "results/mine_fine_cls.json", **allowed)
    assert status == 0, said
    result = json.loads((folder / "results" / "mine_fine_cls.json").read_text())
    assert result["videos"]["expected"] == 4
    assert result["videos"]["evaluated"] == 3
    assert result["videos"]["missing"] == 1
    assert "corrupted" in json.dumps(result["videos"]["missing_videos"])
