"""ActivityNet: subsets, names with and without v_, irregular segments."""

import gzip
import json

import pytest

from ssdet.data.annotations import AnnotationError, Segment


def video(subset, *annotations, duration=10.0, **more):
    """An entry of the official file; an annotation is (start, end, label)."""
    return {
        "duration": duration,
        "subset": subset,
        "resolution": "320x240",
        "url": "https://www.youtube.com/watch?v=xxxxxxxxxxx",
        "annotations": [
            {"segment": [a, b], "label": label} for a, b, label in annotations
        ],
        **more,
    }


RUN = (1.5, 4.25, "Running")


def official(**videos):
    return {"version": "VERSION 1.3", "taxonomy": [], "database": videos}


def test_official_file(read):
    data = read(
        "activitynet",
        official(
            sJFgo9H6zNo=video("training", RUN, (0, 10, "Long jump")),
            **{"--1DO2V4K74": video("validation", RUN)},
            CN01Gm2Yc4k=video("testing"),
        ),
    )
    assert data.classes == ("Long jump", "Running")
    training, testing = data.of("training"), data.of("testing")
    assert [record.video_id for record in training] == ["v_sJFgo9H6zNo"]
    assert training[0].segments == (
        Segment(0, 10, "Long jump"),
        Segment(1.5, 4.25, "Running"),
    )
    assert training[0].duration_s == 10.0
    assert [record.video_id for record in testing] == ["v_--1DO2V4K74"]
    assert testing[0].also == ("--1DO2V4K74",)
    assert data.irregularities["withheld"] == 1


def test_names_with_the_prefix_are_kept(read):
    data = read(
        "activitynet",
        {"v_a": video("training", RUN), "v_v_b": video("validation", RUN)},
    )
    assert [(r.video_id, r.also) for r in data.records] == [
        ("v_a", ("a",)),
        ("v_v_b", ("v_b",)),
    ]


def test_an_id_that_begins_like_the_prefix(read):
    data = read(
        "activitynet",
        official(v_x=video("training", RUN), y=video("validation", RUN)),
    )
    assert [record.video_id for record in data.records] == ["v_v_x", "v_y"]


def test_irregular_segments_are_counted_and_mended(read):
    rows = [(0, 0, "Running"), (3, 2, "Running"), (8, 10.8, "Running"), RUN, RUN]
    entries = official(a=video("training", *rows), b=video("validation"))
    data = read("activitynet", entries, segments="repair")
    assert data.records[0].segments == (
        Segment(1.5, 4.25, "Running"),
        Segment(8, 10.0, "Running"),
    )
    assert data.irregularities == {
        "zero_length": 1,
        "reversed": 1,
        "past_end": 1,
        "duplicate": 1,
        "without_actions": 1,
    }
    with pytest.raises(AnnotationError) as caught:
        read("activitynet", entries)
    for part in (
        "a, annotation 1: Running from 0 s to 0 s has zero length",
        "a, annotation 2: Running from 3 s to 2 s is reversed",
        "a, annotation 3: Running from 8 s to 10.8 s is past the end",
    ):
        assert part in str(caught.value)


def test_class_list_in_its_own_order(read):
    entries = official(
        a=video("training", RUN, (0, 1, "Ballet")), b=video("validation", RUN)
    )
    for classes in ("action\nRunning\nBallet\n", "index,action\n0,Running\n1,Ballet\n"):
        assert read("activitynet", entries, classes=classes).classes == (
            "Running",
            "Ballet",
        )
    with pytest.raises(AnnotationError, match=r"'Ballet' is not one of the 1 classes"):
        read("activitynet", entries, classes="action\nRunning\n")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (video("train set", RUN), "a: subset is 'train set', expected training or"),
        (video("training", RUN, duration=0), "a: duration: a video lasts more than 0"),
        (video("training", ("x", 1, "Running")), "annotation 1: start: expected a num"),
        (video("training", (0, 1, None)), r"annotation 1: .* should hold segment: \["),
        (video("training", annotations={}), "a: should hold subset and a list of ann"),
        (["training"], "a: should hold subset and a list of annotations"),
    ],
)
def test_bad_entries(read, entry, message):
    entries = official(a=entry, b=video("validation", RUN), c=video("training", RUN))
    with pytest.raises(AnnotationError, match=message):
        read("activitynet", entries)


def test_a_database_that_is_none(read):
    with pytest.raises(AnnotationError, match="database should be an object of videos"):
        read("activitynet", {"database": []})


def test_gzip(read):
    entries = official(a=video("training", RUN), b=video("validation", RUN))
    packed = gzip.compress(json.dumps(entries).encode())
    assert len(read("activitynet", packed).records) == 2
