"""Kinetics: the JSON form says what the csv says; names of its frame folders."""

import pytest

from ssdet.data.annotations import AnnotationError, Segment

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"
GOOD = HEADER + "run,z,0,10,test,0\n"


def clip(subset, label, start, end):
    return {
        "annotations": {"label": label, "segment": [start, end]},
        "duration": end - start,
        "subset": subset,
        "url": "https://www.youtube.com/watch?v=x",
    }


def test_json_says_what_the_csv_says(read):
    entries = {
        "-aB_c": clip("train", "zumba", 7.0, 17.0),
        "xyz": clip("train", "abseiling", 120.0, 130.0),
        "v1": clip("validate", "zumba", 0.0, 5.0),
        "t1": {"subset": "test", "duration": 10.0, "url": "x"},
    }
    rows = "zumba,-aB_c,7,17,train,0\nabseiling,xyz,120,130,train,0\n"
    from_csv = read("kinetics", HEADER + rows, HEADER + "zumba,v1,0,5,validate,0\n")
    from_json = read("kinetics", entries)
    assert from_json.records == from_csv.records
    assert from_json.classes == from_csv.classes == ("abseiling", "zumba")
    assert from_json.irregularities["withheld"] == 1
    assert from_json.records[0].segments == (Segment(0, 10, "zumba"),)
    assert from_json.records[0].video_id == "-aB_c_000007_000017"


def test_a_frame_folder_may_have_the_shorter_name(read):
    data = read("kinetics", HEADER + "run,a_b,0,10,train,0\n", GOOD)
    assert data.of("training")[0].also == ("a_b/",)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (clip("train", "run", 0.5, 10.0), "a: time_start 0.5 and time_end 10 must be"),
        (clip("holdout", "run", 0, 10), "a: subset is 'holdout'"),
        ({"subset": "train", "annotations": {"label": "run"}}, "a: should hold subset"),
        ("run", "a: should hold subset and annotations: label and segment"),
    ],
)
def test_bad_entries(read, entry, message):
    with pytest.raises(AnnotationError, match=message):
        read("kinetics", {"a": entry, "b": clip("train", "run", 0, 10)}, GOOD)
