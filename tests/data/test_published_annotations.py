"""The published label files of five data sets: counts, classes, known irregularities.

They may not be passed on, so these tests skip where they are absent. All numbers are
those stated by who published them, or counted independently.
"""

import csv
import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
import yaml

from ssdet.config import ExpectedCounts
from ssdet.data.annotation_formats import READERS, read_classes
from ssdet.data.annotations import AnnotationError, check_expected, read_dataset

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.fixture
def published(shared):
    """A function that gives the paths of published files of a data set."""

    def find(dataset, *names):
        folder = shared / "data" / "annotations" / dataset
        absent = [name for name in names if not (folder / name).is_file()]
        if absent:
            pytest.skip(f"{folder} has no {', '.join(absent)}; may not be passed on")
        return [folder / name for name in names]

    return find


def read(format, training, testing, classes=None, segments="repair", durations=None):
    recipe = {"format": format, "segments": segments}
    return read_dataset(format, recipe, training, testing, classes, durations)


def totals(data):
    """Videos and kept segments of each split."""
    return {
        split: (len(data.of(split)), sum(len(r.segments) for r in data.of(split)))
        for split in ("training", "testing")
    }


def expected(name, file="config"):
    """What a config file of the project expects of a set."""
    recipe = yaml.safe_load((CONFIG / f"{file}.yaml").read_text())["datasets"][name]
    return ExpectedCounts(**recipe["expected"])


# --------------------------------------------------------------------------- charades

CHARADES = ("Charades_v1_train.csv.gz", "Charades_v1_test.csv.gz")
CHARADES_CLASSES = "Charades_v1_classes.txt"


def test_charades(published):
    data = read("charades", *published("charades", *CHARADES, CHARADES_CLASSES))
    check_expected(data, expected("charades"))
    assert data.classes == tuple(f"c{i:03d}" for i in range(157))
    # 66,500 instances, 7 end before they start; 5 of these also end after the video,
    # as 19,623 do in all.
    assert sum(count for _, count in totals(data).values()) == 66_500 - 7
    assert data.irregularities == {
        "reversed": 7,
        "zero_length": 0,
        "past_end": 19_623 - 5,
        "duplicate": 0,
        "without_actions": 223,
    }
    empty = {
        s: sum(not r.segments for r in data.of(s)) for s in ("training", "testing")
    }
    assert empty == {"training": 174, "testing": 49}


def test_charades_json_is_the_csv(published):
    path, classes = published("charades", "charades.json.gz", CHARADES_CLASSES)
    from_json = read("charades", path, path, classes)
    from_csv = read("charades", *published("charades", *CHARADES), classes)
    assert from_json.records == from_csv.records
    assert from_json.irregularities == from_csv.irregularities


def test_charades_refuses_what_it_should(published):
    paths = published("charades", *CHARADES, CHARADES_CLASSES)
    with pytest.raises(AnnotationError) as caught:
        read("charades", *paths, segments="refuse")
    assert str(caught.value).count("\n  ") == 101  # a hundred, and how many more
    assert "set datasets.charades.segments to repair" in str(caught.value)


# ------------------------------------------------------------------------ multithumos

MULTITHUMOS = ("multithumos.json.gz", "class_list.csv")


def test_multithumos(published):
    path, classes = published("multithumos", *MULTITHUMOS)
    data = read("multithumos", path, path, classes)
    check_expected(data, expected("multithumos"))
    assert data.classes[0] == "BaseballPitch"
    assert data.classes[64] == "NoHuman"
    assert data.irregularities["past_end"] == 65
    assert data.irregularities["zero_length"] == 7
    assert data.irregularities["without_actions"] == 0
    with pytest.raises(AnnotationError, match="have 72 problems"):
        read("multithumos", path, path, classes, segments="refuse")


def test_instances_of_each_class_of_multithumos(published):
    """As listed beside the classes, which agree with a published table."""
    path, classes = published("multithumos", *MULTITHUMOS)
    problems = []
    videos = READERS["multithumos"](path, problems, Counter())
    names = read_classes(classes, "multithumos", problems)
    assert problems == []
    found = Counter(names[s.label] for video in videos for s in video.segments)
    with open(classes, newline="") as file:
        stated = {row["action"]: int(row["instances"]) for row in csv.DictReader(file)}
    assert found == stated
    assert sum(found.values()) == 38_690


# --------------------------------------------------------------------------- thumos14

CSV = ("val_Annotation.csv.gz", "test_Annotation.csv.gz")
KIT = "evalkit_test_annotation.tar.gz"
THUMOS_CLASSES = "detclasslist.txt"


def test_thumos14(published):
    data = read("thumos14", *published("thumos14", *CSV, THUMOS_CLASSES))
    check_expected(data, expected("thumos14", "thumos14"))
    assert data.classes == tuple(sorted(data.classes))
    assert totals(data) == {
        "training": (200, 3096 - 89),
        "testing": (213, 3457 - 99),
    }
    assert data.irregularities["ambiguous"] == 89 + 99
    empty = [record.video_id for record in data.records if not record.segments]
    assert empty == ["video_test_0001292"]


def test_the_kit_of_thumos14_is_the_csv(published):
    validation, test = published("thumos14", *CSV)
    (kit,) = published("thumos14", KIT)
    from_kit = read("thumos14", validation, kit)
    assert from_kit.records == read("thumos14", validation, test).records
    assert from_kit.irregularities["ambiguous"] == 89 + 99


def test_the_json_of_thumos14_lacks_three_videos(published):
    (path,) = published("thumos14", "thumos_gt.json.gz")
    from_csv = read("thumos14", *published("thumos14", *CSV))
    data = read("thumos14", path, path)
    assert totals(data) == {"training": (200, 3007), "testing": (210, 3311)}
    assert data.of("training") == from_csv.of("training")
    absent = set(r.video_id for r in from_csv.records) - {
        r.video_id for r in data.records
    }
    assert absent == {f"video_test_000{number}" for number in ("0270", "1292", "1496")}
    with pytest.raises(AnnotationError, match="testing: 210, expected 213"):
        check_expected(data, expected("thumos14", "thumos14"))


def test_segments_past_the_end_of_thumos14(published):
    """Known once the videos are: here from a table of their frames and rates."""
    infos = published("thumos14", "val_video_info.csv", "test_video_info.csv")
    durations = {}
    for path in infos:
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                durations[row["video"]] = float(row["count"]) / float(row["fps"])
    data = read("thumos14", *published("thumos14", *CSV), durations=durations)
    late = {"video_validation_0000364", "video_validation_0000856"}
    late |= {f"video_test_000{number}" for number in ("0270", "0814", "1081")}
    with pytest.raises(AnnotationError) as caught:
        read(
            "thumos14",
            *published("thumos14", *CSV),
            segments="refuse",
            durations=durations,
        )
    named = {video for video in durations if f"({video})" in str(caught.value)}
    assert named == late
    assert data.irregularities["past_end"] == 2 + 2 + 22 + 3 + 1


# ------------------------------------------------------------------------ activitynet


@pytest.fixture
def activitynet(published, tmp_path):
    """The official form, made of two published tables, without its 766 other videos."""
    entries, table = published(
        "activitynet", "anet_anno_action.json.gz", "video_info_new.csv.gz"
    )
    with gzip.open(table, "rt", newline="") as file:
        subsets = {row["video"]: row["subset"] for row in csv.DictReader(file)}
    with gzip.open(entries, "rt") as file:
        database = {
            video.removeprefix("v_"): {
                "subset": subsets[video],
                "duration": entry["duration_second"],
                "annotations": entry["annotations"],
            }
            for video, entry in json.load(file).items()
        }
    path = tmp_path / "activity_net.v1-3.min.json"
    path.write_text(json.dumps({"version": "VERSION 1.3", "database": database}))
    return path


def test_activitynet(activitynet):
    data = read("activitynet", activitynet, activitynet)
    assert len(data.classes) == 200
    assert {"Mooping floor", "Polishing forniture"} <= set(data.classes)  # as published
    assert totals(data)["training"][0] == 9649
    assert totals(data)["testing"][0] == 4728
    found = data.irregularities
    assert (found["withheld"], found["past_end"]) == (4851, 144 + 71)
    assert (found["zero_length"], found["reversed"]) == (12, 0)
    kept = sum(count for _, count in totals(data).values())
    assert kept + found["zero_length"] + found["duplicate"] == 14_859 + 7_293
    with pytest.raises(AnnotationError, match="training: 9,649, expected 10,024"):
        check_expected(data, expected("activitynet", "activitynet"))


def test_class_orders_of_activitynet(activitynet, published):
    """Two lists of the same classes, each with its own order, which is kept."""
    names = published("activitynet", "action_name.csv", "class_index_spot_order.csv")
    first, second = (
        read("activitynet", activitynet, activitynet, path).classes for path in names
    )
    assert first[0] == "Applying sunscreen"
    assert second[0] == "Beer pong"
    assert set(first) == set(second)
    assert len(first) == 200


def test_the_smallest_real_file(published):
    """Four segments of two videos, keyed with v_, without the outer object."""
    (path,) = published("mini", "eval_localization_gt.json")
    with pytest.raises(AnnotationError, match="no video of split training"):
        read("activitynet", path, path)
