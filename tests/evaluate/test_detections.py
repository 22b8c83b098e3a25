"""The JSON of detected segments: both ways, ids, and what is refused."""

import json

import pytest

from ssdet.evaluate.detections import (
    Detection,
    official_ids,
    read_detections,
    repeated,
    under_our_ids,
    write_detections,
)

NOTHING = {"used": False, "details": ""}


def written(path, results):
    path.write_text(json.dumps({"version": "x", "results": results}))
    return path


def entry(**changes):
    return {"label": "a", "score": 0.5, "segment": [1.0, 2.0]} | changes


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "out.json"
    low, high = Detection(0.1, 0.3, "a", 0.1), Detection(1 / 3, 2.0, "b", 0.7)
    write_detections(path, {"w": [low, high], "v": []}, NOTHING)
    assert read_detections(path) == {"v": [], "w": [high, low]}
    content = json.loads(path.read_text())
    assert content["version"] == "VERSION 1.3" and content["external_data"] == NOTHING
    assert content["results"]["w"][1] == {
        "label": "a",
        "score": 0.1,
        "segment": [0.1, 0.3],
    }


def test_official_names_lose_their_prefix_if_all_have_it():
    assert official_ids(["v_a", "v_v_b"]) == {"v_a": "a", "v_v_b": "v_b"}
    assert official_ids(["v_a", "b"]) == {"v_a": "v_a", "b": "b"}
    detections = [Detection(0, 1, "a", 1.0)]
    found = under_our_ids({"a": detections, "v_c": [], "z": []}, ["v_a", "v_c"])
    assert found == {"v_a": detections, "v_c": [], "z": []}


def test_repeated_detections_are_counted():
    one, other = Detection(0, 1, "a", 1.0), Detection(0, 1, "a", 0.9)
    assert repeated({"v": [one, other, one, one], "w": [one, other]}) == {"v": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": float("nan")}, "v, detection 2: the score is nan"),
        ({"score": "high"}, r"v, detection 2: \{.*should hold label"),
        ({"label": 3}, "should hold label"),
        ({"segment": [1.0]}, "should hold label"),
        ({"segment": [2.0, 1.0]}, "segment 2 to 1 is reversed"),
        ({"segment": [0.0, float("inf")]}, "is not finite"),
    ],
)
def test_impossible_detections_are_named(tmp_path, changes, message):
    path = written(tmp_path / "in.json", {"v": [entry(), entry(**changes)]})
    with pytest.raises(ValueError, match=message):
        read_detections(path)


def test_only_the_first_few_are_named(tmp_path):
    path = written(tmp_path / "in.json", {"v": [entry(score=None)] * 8})
    with pytest.raises(ValueError, match=r"detection 5: .*; and 3 more$"):
        read_detections(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "1: not JSON"),
        ("[]", "is not a file of detections"),
        ('{"results": []}', "is not a file of detections"),
        ('{"results": {"v": {}}}', "v: should be a list of detections"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "in.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_detections(path)


def test_no_file(tmp_path):
    with pytest.raises(ValueError, match="no file of detections at"):
        read_detections(tmp_path / "none.json")


def test_impossible_detections_are_not_written(tmp_path):
    bad = {"v": [Detection(0, 1, "a", float("inf"))]}
    with pytest.raises(ValueError, match=r"cannot write .*v: the score is inf"):
        write_detections(tmp_path / "out.json", bad, NOTHING)
    assert not list(tmp_path.iterdir())
