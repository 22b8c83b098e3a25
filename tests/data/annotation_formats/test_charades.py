"""Charades: the JSON form says what the official csv says."""

import pytest

from ssdet.data.annotations import AnnotationError

HEADER = "id,subject,actions,length\n"
CLASSES = "c000 Holding some clothes\nc001 Putting them somewhere\nc156 Eating\n"


def test_json_says_what_the_csv_says(read):
    entries = {
        "A1": {
            "subset": "training",
            "duration": 9.5,
            "actions": [[156, 1.5, 4.0], [0, 0.0, 9.0]],
        },
        "A0": {"subset": "training", "duration": 20.0, "actions": []},
        "B0": {"subset": "testing", "duration": 3.0, "actions": [[1, 0, 1]]},
    }
    training = HEADER + 'A1,S,"c156 1.50 4.00;c000 0.00 9.00",9.50\nA0,S,,20\n'
    testing = HEADER + "B0,S,c001 0 1,3\n"
    from_csv = read("charades", training, testing, CLASSES)
    from_json = read("charades", entries, classes=CLASSES)
    assert from_json.records == from_csv.records
    assert from_json.classes == from_csv.classes == ("c000", "c001", "c156")


def test_a_class_that_is_no_number(read):
    entries = {
        "A": {"subset": "training", "duration": 9, "actions": [["x", 0, 1]]},
        "B": {"subset": "testing", "duration": 9, "actions": [[1.5, 0, 1]]},
    }
    with pytest.raises(AnnotationError, match=r"label 'x' is not(?s:.*)label '1.5'"):
        read("charades", entries, classes=CLASSES)


def test_the_class_list_must_be_in_order(read):
    rows = HEADER + "A,S,c000 0 1,9\n", HEADER + "B,S,c000 0 1,9\n"
    with pytest.raises(
        AnnotationError, match="classes:2: class 0 stands below class 1"
    ):
        read("charades", *rows, "c001 Putting\nc000 Holding\n")
