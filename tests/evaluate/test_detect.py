"""From SPOT's checkpoint to segments, and to their mAP beside blind guesses."""

import json
import shutil

import numpy as np
import pytest
import torch

from ssdet.config import canonical_json
from ssdet.data.annotations import Segment
from ssdet.evaluate import detect, segments
from ssdet.evaluate.detect import candidates_of, suppressed
from ssdet.evaluate.detections import Detection, read_detections
from ssdet.evaluate.segment_ap import THRESHOLDS, segment_scores
from ssdet.stage import StageError
from tests.train.spot_runs import RECIPE, small, train
from tests.train.spot_sets import SNIPPETS, WIDTH, config
from tests.train.test_semi_supervised import train as train_by_heart

TEST_ONLY = {"t0": (1.0, 7.0, "c0"), "t1": (5.0, 12.0, "c2")}


@pytest.fixture(scope="module")
def ready(spot_folder, tmp_path_factory):
    """The set with two test videos, and a checkpoint."""
    root = tmp_path_factory.mktemp("detect") / "set"
    shutil.copytree(spot_folder, root)
    labels = (root / "labels.csv").read_text().splitlines()
    rows = [line for line in labels if not line.endswith("testing")]
    source = np.random.default_rng(7)
    for name, (start, end, label) in TEST_ONLY.items():
        rows.append(f"{name},{start},{end},{label},testing")
        x = source.normal(size=(40, WIDTH)).astype(np.float32)
        x[int(2 * start) : int(2 * end), int(label[1])] += 4
        np.save(root / "features" / f"{name}.npy", x)
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    table = root / "inventory.csv"
    lines = table.read_text().splitlines()
    lines.insert(2, lines[1].replace("t0", "t1"))
    table.write_text("\n".join(lines) + "\n")
    train(root, root / "spot.pt", small(train__epochs=20, train__keep="last"))
    return root


def run_detect(root, out, section=None, missing=0.0, external=""):
    section = section or small()
    detect.main(
        [
            *("--name", "mine", "--dataset", canonical_json(RECIPE)),
            *("--training", str(root / "labels.csv")),
            *("--testing", str(root / "labels.csv")),
            *("--inventory", str(root / "inventory.csv")),
            *("--frames", canonical_json(FRAMES)),
            *("--features-dir", str(root / "features")),
            "--data",
            canonical_json({"max_missing_fraction": missing, "exclude": []}),
            *("--network", section.network.canonical()),
            *("--features", canonical_json(section.features.without_paths())),
            *("--detect", canonical_json(section.detect.without_paths())),
            *("--checkpoint", str(root / "spot.pt"), "--device", "cpu"),
            *("--external-scores", str(external), "--out", str(out)),
        ]
    )
    return json.loads(out.read_text())


FRAMES = {"short_side": 8, "jpeg_quality": 90, "shard_videos": 64}


def run_evaluate(root, detections, out, external=""):
    segments.main(
        [
            *("--name", "mine", "--dataset", canonical_json(RECIPE)),
            *("--training", str(root / "labels.csv")),
            *("--testing", str(root / "labels.csv")),
            *("--inventory", str(root / "inventory.csv")),
            *("--detections", str(detections), "--result-name", "spot_50"),
            *("--external-scores", str(external)),
            *("--seed", "0", "--out", str(out)),
        ]
    )
    return json.loads(out.read_text())


def test_every_test_video_has_its_segments(ready, tmp_path):
    content = run_detect(ready, tmp_path / "d.json")
    assert content["results"].keys() == TEST_ONLY.keys()
    assert content["external_data"]["used"] is False
    assert content["external_data"]["provenance"]["stage"] == "detect_spot"
    for found in read_detections(tmp_path / "d.json").values():
        assert 0 < len(found) <= 100
        scores = [detection.score for detection in found]
        assert scores == sorted(scores, reverse=True)
        for detection in found:
            assert 0 <= detection.start_s < detection.end_s <= 20


def test_the_result_stands_beside_blind_guesses(ready, tmp_path):
    run_detect(ready, tmp_path / "d.json")
    result = run_evaluate(ready, tmp_path / "d.json", tmp_path / "r.json")
    assert result["videos"]["expected"] == 2
    assert result["videos"]["evaluated"] == 2
    assert result["external_scores"] == "none"
    blind = result["metrics"]["content_free"]
    # whole videos of 20 s: 6 and 7 s overlap 0.3 and 0.35 of them
    assert blind["annotated"]["activitynet"] == 0
    assert blind["annotated"]["thumos14"] == pytest.approx((1 + 0 + 0 + 0 + 0) / 5)
    assert blind["most_frequent"]["videos"] == 2
    assert "external" not in blind
    own = result["metrics"]["segment_map"]["thumos14"]["average_map"]
    assert 0 <= own <= 1


def test_another_programs_labels_are_named(ready, tmp_path):
    given = tmp_path / "guesses.json"
    given.write_text(json.dumps({"v_t0": {"class": "c1", "score": 0.5}}))
    content = run_detect(ready, tmp_path / "d.json", external=given)
    assert content["external_data"]["used"] is True
    found = read_detections(tmp_path / "d.json")
    assert {detection.label for detection in found["t0"]} == {"c1"}
    assert {detection.label for detection in found["t1"]} <= {"c0", "c1", "c2"}
    result = run_evaluate(
        ready, tmp_path / "d.json", tmp_path / "r.json", external=given
    )
    assert "guesses.json" in result["external_scores"]
    assert result["metrics"]["content_free"]["external"]["videos"] == 1


def test_videos_without_features_are_counted_as_missed(ready, tmp_path):
    root = tmp_path / "set"
    shutil.copytree(ready, root)
    (root / "features" / "t1.npy").unlink()
    with pytest.raises(ValueError, match="1 of 2 videos have no features: t1"):
        run_detect(root, tmp_path / "d.json")
    content = run_detect(root, tmp_path / "d.json", missing=0.5)
    assert content["external_data"]["without_features"] == ["t1"]
    result = run_evaluate(root, tmp_path / "d.json", tmp_path / "r.json")
    assert result["videos"]["missing"] == 1
    assert result["instances"] == 2  # those of t1 count, and are not found


def test_windows_of_long_videos(ready, tmp_path):
    """Windows of 20 rows, 10 s, of 15 and 20 s: segments beyond the first are found."""
    windows = {"overlap": 0.5, "inside": 0.5}
    section = small(features__windows=windows, train__epochs=20, train__keep="last")
    root = tmp_path / "set"
    shutil.copytree(ready, root)
    train(root, root / "spot.pt", section, labelled=100)
    run_detect(root, tmp_path / "d.json", section)
    found = read_detections(tmp_path / "d.json")
    assert found.keys() == TEST_ONLY.keys()
    assert max(d.end_s for d in found["t1"]) > 10
    for detections in found.values():
        assert all(0 <= d.start_s < d.end_s <= 20 for d in detections)
    with pytest.raises(StageError, match="was trained with features ="):
        run_detect(root, tmp_path / "d.json")


def test_checkpoints_of_something_else(ready, tmp_path):
    with pytest.raises(StageError, match="was trained with network ="):
        run_detect(ready, tmp_path / "d.json", small(network__heads=2))
    with pytest.raises(StageError, match="was trained with features ="):
        run_detect(ready, tmp_path / "d.json", small(features__map="layer4"))


def test_learnt_by_heart_its_segments_are_found():
    """Six videos, decoded as test videos are: average mAP at least 0.9."""
    cfg = config()
    network, _, labelled = train_by_heart(cfg, 300, unlabelled=False)
    with torch.no_grad():
        out = network(labelled.features)
    truth, found = {}, {}
    for video in range(len(labelled.features)):
        truth[str(video)] = annotated(labelled.classes[video], labelled.mask[video])
        found[str(video)] = [
            Detection(c.start, c.end, str(c.label), c.score)
            for c in suppressed(
                candidates_of(
                    out.logits[video], out.mask[video], cfg.detect, "fixed", None
                ),
                cfg.detect,
                "fixed",
            )
        ]
    scores = segment_scores(truth, found, THRESHOLDS["activitynet"])
    assert scores.map.mean() >= 0.9


def annotated(classes, mask):
    """Segments of a video's targets, as shares of it."""
    found = {
        (int(on[0]), int(on[-1]) + 1)
        for row in mask
        if len(on := row.nonzero().flatten())
    }
    return [
        Segment(start / SNIPPETS, end / SNIPPETS, str(int(classes[start])))
        for start, end in sorted(found)
    ]
