"""Frame labels and official instants against reference values.

Files that quote annotations may not be passed on: without --golden they are read from
the shared folder, and their tests skip where it is absent.
"""

import csv
import gzip
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

from ssdet import metrics
from ssdet.data.annotations import Segment, read_dataset
from ssdet.data.frame_labels import frame_labels, instant_labels, official_instants
from ssdet.data.sampling import Timeline
from ssdet.evaluate.instants import instant_steps

CHARADES = {
    "format": "charades",
    "fps": 24.0,
    "mean": [0.0, 0.0, 0.0],
    "std": [1.0, 1.0, 1.0],
    "segments": "repair",
}


def read(path):
    return json.loads(path.read_text())


@pytest.fixture
def bound(request):
    """Files of a name, below --golden DIR or else below the shared folder."""
    folder = request.config.getoption("--golden")

    def find(name):
        root = Path(folder) if folder else request.getfixturevalue("shared") / "golden"
        files = sorted(root.rglob(name))
        if not files:
            pytest.skip(f"no {name} below {root}")
        return files

    return find


@pytest.fixture(scope="module")
def charades(shared):
    """The annotations as they were published: their folder, and what we read."""
    folder = shared / "data/annotations/charades"
    names = ("Charades_v1_train.csv", "Charades_v1_test.csv", "Charades_v1_classes.txt")
    paths = [published(folder, name) for name in names]
    return folder, read_dataset("charades", CHARADES, *paths)


def published(folder, name):
    """A file of the annotations, plain or gzip."""
    path = next(folder.glob(f"{name}*"), None)
    if path is None:
        pytest.skip(
            f"needs {name} in {folder}: it quotes rows that may not be passed on"
        )
    return path


def numbered(actions):
    """Segments of [class, start, end], and the row of each class they name."""
    segments = [Segment(start, end, str(label)) for label, start, end in actions]
    return segments, sorted({int(segment.label) for segment in segments})


def rows_of(names):
    return {str(name): row for row, name in enumerate(names)}


def test_rows_of_the_annotations(bound):
    for path in bound("charades25_rows.json"):
        data = read(path)
        for row in data["rows"]:
            actions = [action.split() for action in row["actions"].split(";") if action]
            names = sorted({name for name, _, _ in actions})
            segments = [Segment(float(a), float(b), name) for name, a, b in actions]
            length_s = float(row["length"])
            instants = official_instants(length_s)
            assert instants.tolist() == row["timestamps"], row["id"]
            assert len(instants) == data["frames_per_video"]
            labels = instant_labels(segments, rows_of(names), length_s)
            found = [[int(names[k][1:]) for k in np.flatnonzero(t)] for t in labels.T]
            assert found == row["labels"], row["id"]
            multiplied = np.arange(25) * length_s / 25
            for key, times_s, strict in (
                ("frames_where_multiply_first_differs", multiplied, False),
                ("frames_where_strict_bounds_differ", instants, True),
            ):
                other = [_shown(segments, t, strict) for t in times_s]
                ours = [_shown(segments, t, False) for t in instants]
                changed = [j for j in range(1, 26) if other[j - 1] != ours[j - 1]]
                assert changed == row[key], row["id"]


def _shown(segments, time_s, strict):
    inside = [
        s.start_s < time_s < s.end_s if strict else s.start_s <= time_s <= s.end_s
        for s in segments
    ]
    return {s.label for s, shown in zip(segments, inside, strict=True) if shown}


def test_labels_at_the_feature_rate(bound):
    for path in bound("dense_labels.json"):
        for video in read(path)["videos"]:
            steps = video["num_feat"]
            fps = steps / video["duration"]
            segments, names = numbered(video["actions"])
            for segment, (label, *ends) in zip(segments, video["ranges"], strict=True):
                assert int(segment.label) - video["class_base"] == label
                alone = frame_labels([segment], {segment.label: 0}, steps, fps)
                shown = np.flatnonzero(alone[0])
                found = [shown[0], shown[-1]] if shown.size else [-1, -1]
                assert found == ends, (video["id"], segment)
            together = frame_labels(segments, rows_of(names), steps, fps)
            assert together.sum() == video["positives"], video["id"]
            times_s = np.arange(steps) / fps
            inclusive = {
                (f, s.label)
                for s in segments
                for f in np.flatnonzero((s.start_s <= times_s) & (times_s <= s.end_s))
            }
            assert len(inclusive) == video["positives_inclusive"], video["id"]


def test_the_whole_test_set(bound, charades):
    folder, dataset = charades
    records = {record.video_id: record for record in dataset.records}
    for file in bound("charades_full_expected.json"):
        expected = read(file)
        path = published(folder, expected["csv"])
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        if hashlib.sha256(data).hexdigest() != expected["csv_sha256"]:
            pytest.skip(f"{path} is not the {expected['csv']} of {file}")
        # the official order of rows is the csv's
        rows = csv.DictReader(io.StringIO(data.decode(), newline=""))
        order = [row["id"] for row in rows]
        labels = np.concatenate(
            [
                instant_labels(r.segments, dataset.class_index, r.duration_s).T
                for r in (records[video_id] for video_id in order)
            ]
        )
        assert (len(order), len(labels)) == (expected["videos"], expected["frames"])
        counts = metrics.positives(labels)
        assert counts.tolist() == expected["label_counts"]
        assert counts.sum() == expected["label_total"]
        flat = np.ascontiguousarray(labels).tobytes()
        assert hashlib.sha256(flat).hexdigest() == expected["labels_sha256"]
        in_a_frame = labels.sum(axis=1)
        assert (in_a_frame == 0).sum() == expected["frames_without_label"]
        assert in_a_frame.max() == expected["max_labels_in_a_frame"]
        share = counts / len(labels)
        assert share.mean() == pytest.approx(expected["chance"]["map"], abs=1e-9)
        weighted = metrics.weighted_mean_over_present(share, counts)
        assert weighted == pytest.approx(expected["chance"]["wap"], abs=1e-9)
        for case in expected["score_cases"]:
            scores = uniform(case["seed"], case["k"], labels.size).reshape(labels.shape)
            scores += case["shift"] * labels
            ap = metrics.average_precision(scores, labels)
            np.testing.assert_allclose(ap, case["ap"], rtol=0, atol=1e-9)
            found = metrics.mean_over_present(ap)
            assert found == pytest.approx(case["map_official"], abs=1e-9)
            found = metrics.weighted_mean_over_present(ap, counts)
            assert found == pytest.approx(case["wap_official"], abs=1e-9)


def uniform(seed, k, count):
    """The closed-form scores of the golden README."""
    p = 2147483647
    i = np.arange(count, dtype=np.int64)
    x0 = ((i + 1) * 1664525 + (k + 1) * 22695477 + (seed + 1) * 69069) % p
    x1 = (x0 * x0 + 12345) % p
    x2 = (x1 * 48271) % p
    return ((x2 * x2 + x0) % p) / p


def test_the_closed_form_scores():
    expected = [0.24413793, 0.6816715, 0.11357528, 0.8303192, 0.63367049]
    np.testing.assert_allclose(uniform(0, 0, 5), expected, atol=5e-9)


@pytest.mark.golden("charades_labels.json")
def test_made_up_videos(golden_file):
    for video in read(golden_file):
        frames, duration_s = video["num_frames"], video["duration"]
        segments, names = numbered(video["actions"])
        assert names == video["classes"]
        timeline = Timeline(frames, duration_s, 10)
        labels = frame_labels(segments, rows_of(names), frames, timeline.fps)
        found = []
        for row in labels:
            shown = np.flatnonzero(row)
            ends = [int(shown[0]), int(shown[-1]), shown.size] if shown.size else None
            found.append(ends)
        assert found == video["first_last_count_per_class"], video["id"]
        assert labels.sum() == video["total_positive"]
        at_instants = instant_labels(segments, rows_of(names), duration_s)
        found = ["".join(map(str, row)) for row in at_instants.tolist()]
        assert dict(zip(rows_of(names), found, strict=True)) == video["gt25"]
        assert at_instants.sum() == video["gt25_count"]
        assert official_instants(duration_s).tolist() == video["localize_times"]
        shortcut = instant_steps(frames, "every_kth_from_1").tolist()
        assert shortcut == video["reference_localize_frame_index_0based"]
        samples = [timeline.frame_of_sample(i) + 1 for i in range(timeline.samples)]
        assert [*samples[:2], samples[-1]] == video["test_frames_1based"]
        assert timeline.samples == video["test_clip_len"]


def test_every_test_video(bound, charades):
    for path in bound("charades_real_testing.json"):
        expected = read(path)
        _, dataset = charades
        records = dataset.of(expected["subset"])
        frames = [int(np.floor(24 * record.duration_s)) for record in records]
        kept = [n for n, r in enumerate(records) if frames[n] >= 162]
        assert len(kept) == expected["videos_kept_min162"]
        assert sum(frames[n] for n in kept) == expected["total_frames"]
        classes = dataset.class_index
        dense = np.zeros(len(classes), dtype=np.int64)
        for n in kept:
            fps = frames[n] / records[n].duration_s
            labels = frame_labels(records[n].segments, classes, frames[n], fps)
            dense += metrics.positives(labels.T)
        assert dense.tolist() == expected["frame_positives_per_class"]
        assert dense.sum() == expected["frame_positives_total"]
        official = [instant_labels(r.segments, classes, r.duration_s) for r in records]
        counts = np.sum([labels.sum(axis=1) for labels in official], axis=0)
        rows = sum(labels.shape[1] for labels in official)
        assert rows == expected["localize25_rows"]
        assert counts.tolist() == expected["localize25_positives_per_class"]
        assert counts.sum() == expected["localize25_positives_total"]
