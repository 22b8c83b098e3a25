"""What SPOT is sure of, as labels over time."""

import numpy as np
import pytest
import torch

from ssdet.config import SpotFrameLabels, canonical_json
from ssdet.data.annotations import VideoRecord
from ssdet.data.frame_label_file import FrameLabels
from ssdet.data.snippet_sets import SnippetSet
from ssdet.evaluate import label_frames
from ssdet.evaluate.label_frames import snippet_labels, whole_videos
from tests.train.spot_runs import DURATION_S, arguments, small, train
from tests.train.spot_sets import CLASSES, SNIPPETS

SURE = SpotFrameLabels(sure_class=0.7, sure_mask=0.5)


def logits_of(*classes):
    """Surely a class in each snippet; None: as likely as any other."""
    rows = np.zeros((3, len(classes)))  # two classes, and background
    for snippet, label in enumerate(classes):
        if label is not None:
            rows[label, snippet] = 9
    return rows


def test_sure_snippets_label_their_stretch():
    """Snippet 1 is of class 0, 3 of class 1; both masks hold snippet 2."""
    mask = np.zeros((6, 6))
    mask[1, [0, 1, 2, 5]] = 0.9  # 5 lies apart
    mask[3, [2, 3]] = 0.5
    found = snippet_labels(logits_of(2, 0, 2, 1, 2, None), mask, SURE)
    assert found[:, 0].tolist() == [1, 1, 1, 0, 0, 0]
    assert found[:, 1].tolist() == [0, 0, 1, 1, 0, 0]


def test_a_snippet_outside_its_own_mask_labels_itself():
    mask = np.full((3, 3), 0.4)
    assert snippet_labels(logits_of(2, 1, 2), mask, SURE)[:, 1].tolist() == [0, 1, 0]


def test_background_and_doubt_label_nothing():
    found = snippet_labels(logits_of(2, None, 2), np.ones((3, 3)), SURE)
    assert not found.any()


def test_windows_of_a_video_are_joined():
    """Two windows of 4 snippets of 0.5 s; the second begins two snippets later."""
    record = VideoRecord("v", 3.0, (), "training")
    videos = SnippetSet(
        (record, record), torch.zeros(2, 1, 4), (0.0, 1.0), (2.0, 2.0), 0.5, ()
    )
    parts = [np.array([[1, 0, 1, 0]]).T, np.array([[0, 1, 0, 1]]).T]
    labels, step_s = whole_videos([p.astype(np.uint8) for p in parts], videos)["v"]
    assert step_s == 0.5
    assert labels[:, 0].tolist() == [1, 0, 1, 1, 0, 1]


def test_the_stage_labels_every_training_video(spot_folder, tmp_path):
    """Each video shows its class from start to start + 6 s, and looks like it."""
    section = small(
        train__epochs=40,
        train__drop_epochs=[30],
        train__learning_rate=3e-3,
        train__keep="last",
    )
    checkpoint, out = tmp_path / "spot.pt", tmp_path / "l.h5"
    train(spot_folder, checkpoint, section, labelled=100)
    given = arguments(spot_folder, out, section)
    for name in ("--losses", "--validation", "--seed", "--checkpoint-seconds"):
        place = given.index(name)
        del given[place : place + 2]
    sure = canonical_json({"sure_class": 0.5, "sure_mask": 0.5})
    more = ["--checkpoint", str(checkpoint), "--frame-labels", sure]
    label_frames.main([*given, *more])
    labels = FrameLabels(out)
    assert labels.video_ids == [f"v{number:02d}" for number in range(12)]
    assert labels.provenance["stage"] == "label_frames"
    read = {"checkpoint", "features", "inventory", "labels/training"}
    assert read <= set(labels.provenance["parents"])
    times = (np.arange(SNIPPETS) + 0.5) * DURATION_S / SNIPPETS
    right = []
    for number in range(11):  # the last one's action never ends
        start = 2 + number % 5
        marked = (times > start) & (times < start + 6)
        found = labels.at(f"v{number:02d}", times)[:, number % CLASSES]
        right.append((found == marked).mean())
    assert np.mean(right) > 0.85  # 0.7 if nothing is found
    with pytest.raises(KeyError):
        labels.at("t0", times)  # a test video
