from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssdet.data.annotations import Segment, VideoRecord
from ssdet.data.label_splits import draw_unlabelled, read_unlabelled


def record(video_id, *labels):
    segments = tuple(Segment(i, i + 1, label) for i, label in enumerate(labels))
    return VideoRecord(video_id, 10.0, segments, "training")


def videos(**counts):
    return [
        record(f"{name}_{i:02d}", name)
        for name, count in counts.items()
        for i in range(count)
    ]


def test_each_class_loses_its_share():
    drawn = draw_unlabelled(videos(run=20, jump=10, sit=5), 0.9, 1)
    assert Counter(v[:3] for v in drawn) == {"run": 18, "jum": 9, "sit": 4}


@given(st.integers(1, 9), st.integers(1, 9), st.floats(0, 0.99), st.integers(0, 99))
def test_every_class_keeps_a_video(a, b, share, seed):
    drawn = draw_unlabelled(videos(run=a, jump=b), share, seed)
    for name, count in (("run", a), ("jump", b)):
        lost = sum(v.startswith(name) for v in drawn)
        assert lost == min(round(share * count), count - 1)


def test_draws_are_repeatable_and_each_its_own():
    everyone = videos(run=40)
    assert draw_unlabelled(everyone, 0.5, 1) == draw_unlabelled(everyone[::-1], 0.5, 1)
    assert draw_unlabelled(everyone, 0.5, 1) != draw_unlabelled(everyone, 0.5, 2)
    assert not draw_unlabelled(everyone, 0.4, 1) <= draw_unlabelled(everyone, 0.6, 1)


def test_the_class_of_most_segments_counts():
    everyone = [record(f"a{i}", "x", "y", "y") for i in range(4)]
    everyone += [record(f"b{i}", "x", "y") for i in range(4)]  # a tie: the first
    assert Counter(v[0] for v in draw_unlabelled(everyone, 0.5, 0)) == {"a": 2, "b": 2}


def test_published_draw(tmp_path):
    path = tmp_path / "splits.csv"
    path.write_text("video,unlabeled_0.1,unlabeled_0.9\nv_a,0,1\nv_b,1,1\nv_c,0,0\n")
    everyone = [record("a"), record("b"), record("c")]
    assert read_unlabelled(path, everyone, 0.9) == {"a", "b"}
    assert read_unlabelled(path, [record("v_b"), record("v_c")], 0.1) == {"v_b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,0.1\na,0\n", "none for a share of 0.9 without labels"),
        ("id,0.9\na,0\n", "no column video"),
        ("", "found an empty file"),
        ("video,0.9\n", "it has no row"),
        ("video,0.9\na,yes\n", "column 0.9 should hold 0 and 1, but not so for a"),
        ("video,0.9\nb,1\n", "lacks 1 of 1 training videos: a"),
    ],
)
def test_bad_draws(tmp_path, text, message):
    path = tmp_path / "splits.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_unlabelled(path, [record("a")], 0.9)


def test_published_draws_of_activitynet_keep_to_the_rule(shared):
    """round(n * share) videos of each class, by the label of the first annotation."""
    import csv
    import gzip
    import json

    folder = shared / "data" / "annotations" / "activitynet"
    with gzip.open(folder / "anet_anno_action.json.gz", "rt") as file:
        annotations = json.load(file)
    with gzip.open(folder / "unlabeled_splits.csv.gz", "rt") as file:
        ids = [row["video"] for row in csv.DictReader(file)]
    everyone = [record(v, annotations[v]["annotations"][0]["label"]) for v in ids]
    classes = Counter(r.segments[0].label for r in everyone)
    for share, count in ((0.9, 8683), (0.4, 3867)):
        drawn = read_unlabelled(folder / "unlabeled_splits.csv.gz", everyone, share)
        assert len(drawn) == count
        ours = draw_unlabelled(everyone, share, 1)
        assert len(ours) == count
        for found in (drawn, ours):
            lost = Counter(r.segments[0].label for r in everyone if r.video_id in found)
            assert lost == {name: round(n * share) for name, n in classes.items()}
