"""AP of segments against the official ActivityNet evaluator."""

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest

from ssdet.config import DatasetConfig
from ssdet.data.annotations import Segment
from ssdet.evaluate.detections import (
    Detection,
    read_detections,
    under_our_ids,
    write_detections,
)
from ssdet.evaluate.evaluate_file import evaluate_file
from ssdet.evaluate.segment_ap import THRESHOLDS, segment_scores

NAMES = {"activitynet": "activitynet", "thumos": "thumos14"}
TOLERANCE = 1e-9


def truth_of(path, subset):
    """Annotated segments of the videos of a subset."""
    database = json.loads(path.read_text())["database"]
    return {
        video_id: [Segment(*map(float, a["segment"]), a["label"]) for a in annotations]
        for video_id, entry in database.items()
        if entry["subset"] == subset
        for annotations in [entry["annotations"]]
    }


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.golden("gt.json")
def test_made_up_cases(golden_file):
    expected = json.loads((golden_file.parent / "expected.json").read_text())
    truth = truth_of(golden_file, expected["subset"])
    found = read_detections(golden_file.parent / "det.json")
    sets = expected.keys() & NAMES.keys()
    assert sets
    for key in sets:
        values = expected[key]
        thresholds = THRESHOLDS[NAMES[key]]
        assert thresholds.tolist() == values["tious"]
        scores = segment_scores(truth, found, thresholds)
        assert set(scores.classes) == set(values["ap"])
        for column, name in enumerate(scores.classes):
            close(scores.ap[:, column], values["ap"][name])
        close(scores.map, values["mAP"])
        close(scores.map.mean(), values["average_mAP"])


@pytest.fixture(scope="module")
def whole_videos_file(request):
    """The reference of a content-free detector, below --golden DIR or shared."""
    folder = request.config.getoption("--golden")
    root = folder or request.getfixturevalue("shared") / "golden"
    path = next(iter(sorted(Path(root).rglob("trivial_whole_video.json"))), None)
    if path is None:
        pytest.skip(f"no trivial_whole_video.json below {root}")
    return path


def by_command(expected, rows, annotations, found, folder):
    """`ssdet evaluate` finds the same, from files in the challenge's form."""
    database = {
        row["video"].removeprefix("v_"): {
            "subset": row["subset"],
            "duration": annotations[row["video"]]["duration_second"],
            "annotations": annotations[row["video"]]["annotations"],
        }
        for row in rows
    }
    labels, path = folder / "labels.json", folder / "detections.json"
    labels.write_text(json.dumps({"database": database}))
    write_detections(path, found, {"used": True, "details": "labels of the videos"})
    files = {"training": str(labels), "testing": str(labels), "classes": None}
    section = DatasetConfig(
        format="activitynet",
        videos="none",
        fps=None,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        segments="repair",
        annotations=files,
        expected=None,
    )
    result = evaluate_file(path, "activitynet", section, None, False, 1, None)
    scores = result["metrics"]["segment_map"]["activitynet"]
    close(scores["map"], expected["mAP"])
    close(scores["average_map"], expected["average_mAP"])
    assert result["videos"]["expected"] == expected["videos"]
    assert result["rows"]["segment_map"] == expected["instances"]


def test_the_whole_validation_set(whole_videos_file, shared, tmp_path):
    expected = json.loads(whole_videos_file.read_text())
    folder = shared / "data/annotations/activitynet"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}, which holds data that may not be passed on")

    def text(name):
        return gzip.decompress((folder / name).read_bytes()).decode()

    rows = list(csv.DictReader(io.StringIO(text("video_info_new.csv.gz"))))
    videos = [row["video"] for row in rows if row["subset"] == "validation"]
    annotations = json.loads(text("anet_anno_action.json.gz"))
    guesses = json.loads(text("video_level_scores.json.gz"))
    truth = {
        name: [
            Segment(*a["segment"], a["label"]) for a in annotations[name]["annotations"]
        ]
        for name in videos
    }
    found = {}
    for rank, name in enumerate(sorted(videos)):
        score = guesses[name]["score"] - 1e-6 * rank / len(videos)
        end_s = annotations[name]["duration_second"]
        found[name.removeprefix("v_")] = [
            Detection(0.0, end_s, guesses[name]["class"], score)
        ]
    by_command(expected, rows, annotations, found, tmp_path)
    found = under_our_ids(found, videos)
    scores = segment_scores(truth, found, THRESHOLDS["activitynet"])
    assert len(truth) == expected["videos"]
    assert scores.instances.sum() == expected["instances"]
    assert len(scores.classes) == expected["classes"]
    close(scores.map, expected["mAP"])
    close(scores.map.mean(), expected["average_mAP"])
    for column, name in enumerate(scores.classes):
        close(scores.ap[0, column], expected["ap_first_threshold"][name])
