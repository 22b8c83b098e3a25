"""Pretraining on labels over time: their targets, a real run, and bad files."""

import numpy as np
import pytest
import torch

from ssdet.data.frame_label_file import FrameLabels, write_frame_labels
from ssdet.stage import StageError
from ssdet.train import pretrain, setup
from ssdet.train.checkpoint import load_checkpoint
from ssdet.train.clip_labels import annotated_classes, clip_labels
from tests.tiny import tiny_config


def on_charades(tiny, out, pretext="joint", more=()):
    """Arguments of pretrain on the tiny set of several actions."""
    given = tiny.pretrain(out, pretext)
    data, start = tiny.data("charades"), given.index("--pretext")
    return [*data, *given[start:], *more]


def open_charades(tiny):
    args = pretrain.arguments().parse_args(on_charades(tiny, "unused.pt"))
    return setup.open_videos(args, "training", "testing")


def write(path, dataset, videos, classes=None):
    """Labels of videos, as `video -> (labels (T, K), seconds of a row)`."""
    write_frame_labels(
        path,
        videos,
        dataset=dataset.name,
        classes=classes or dataset.classes,
        checkpoint_sha256="0" * 64,
        provenance={},
    )
    return path


def of_annotation(videos, step_s=0.25):
    """What the annotation says, as labels over time."""
    index = videos.dataset.class_index
    labels = {}
    for record in videos.of("training"):
        rows = np.zeros((60, len(index)), np.uint8)
        for segment in record.segments:
            first, last = (int(s / step_s) for s in (segment.start_s, segment.end_s))
            rows[first : last + 1, index[segment.label]] = 1
        labels[record.video_id] = rows, step_s
    return labels


def test_targets_of_a_clip(tiny, tmp_path):
    """12 frames/s, rows of half a second: six frames each."""
    videos = open_charades(tiny)
    record = videos.of("training")[0]
    clock = videos.timeline(record, 1)
    assert clock.fps == pytest.approx(12, rel=0.02)
    rows = np.zeros((3, len(videos.dataset.classes)), np.uint8)
    rows[1, [2, 5]] = 1
    rows[2, 5] = 1
    path = write(tmp_path / "l.h5", videos.dataset, {record.video_id: (rows, 0.5)})
    labels, frames = FrameLabels(path), [3, 7, 10, 13, 19, 3]
    found = clip_labels(labels, videos, record, frames, background=True)
    assert found["labels"].tolist() == [[0, 3, 3, 6, 0, 0], [0, 6, 6, 0, 0, 0]]
    half = [[1, 0.5, 0.5, 1, 1, 1], [0, 0.5, 0.5, 0, 0, 0]]
    assert found["weights"].tolist() == half


def test_labels_that_say_the_same_give_the_same_network(tiny, tmp_path):
    """Of clips with one label, over all of their time."""
    args = pretrain.arguments().parse_args(tiny.pretrain("unused.pt"))
    videos = setup.open_videos(args, "training", "testing")
    index = videos.dataset.class_index
    labels = {
        record.video_id: (np.eye(len(index))[[index[record.segments[0].label]]], 1e6)
        for record in videos.of("training")
    }
    path = write(tmp_path / "l.h5", videos.dataset, labels)
    pretrain.main(tiny.pretrain(tmp_path / "a.pt", "mixup"))
    given = ["--frame-labels", str(path)]
    pretrain.main([*tiny.pretrain(tmp_path / "b.pt", "mixup"), *given])
    one, over_time = (load_checkpoint(tmp_path / f"{name}.pt") for name in "ab")
    for name, tensor in one["weights"].items():
        assert torch.equal(tensor, over_time["weights"][name]), name
    assert over_time["parents"].keys() - one["parents"].keys() == {"frame_labels"}


def test_videos_of_several_actions_are_pretrained_on(tiny, tmp_path):
    videos = open_charades(tiny)
    labels = of_annotation(videos)
    nothing = {name: (0 * rows, step) for name, (rows, step) in labels.items()}
    found = []
    for number, given in enumerate((labels, nothing)):
        path = write(tmp_path / f"{number}.h5", videos.dataset, given)
        out = tmp_path / f"{number}.pt"
        pretrain.main(on_charades(tiny, out, "joint", ("--frame-labels", str(path))))
        content = load_checkpoint(out)
        assert content["classes"][1:] == list(videos.dataset.classes)
        found.append(content["weights"]["head.fc2.weight"])
    assert not torch.equal(*found)
    assert '"clean_accuracy"' in (tmp_path / "0.jsonl").read_text()
    with pytest.raises(StageError, match="of 6 have not"):
        pretrain.main(on_charades(tiny, tmp_path / "c.pt"))


def test_a_clip_shows_what_is_marked_in_it(tiny):
    videos = open_charades(tiny)
    record = videos.of("testing")[0]
    clock = videos.timeline(record, 1)
    segment = record.segments[0]
    inside = round(clock.frame_of_seconds((segment.start_s + segment.end_s) / 2))
    shown = annotated_classes(videos, record, [[inside], [0]])
    assert shown.shape == (2, len(videos.dataset.classes))
    assert shown[0, videos.dataset.class_index[segment.label]]
    assert not shown[1].any()  # nothing is marked at the very start


def test_bad_files_are_named(tiny, tmp_path):
    videos = open_charades(tiny)
    labels = of_annotation(videos)
    lost = sorted(labels)[0]
    rest = {name: given for name, given in labels.items() if name != lost}
    names = list(videos.dataset.classes)
    cases = {
        f"lacks 1 of 4 training videos of charades: {lost}. Give SPOT": (rest, None),
        "only one has c000, other. Make it": (labels, ["other", *names[1:]]),
        "their order differs": (labels, names[::-1]),
    }
    for number, (message, (given, classes)) in enumerate(cases.items()):
        path = write(tmp_path / f"{number}.h5", videos.dataset, given, classes)
        with pytest.raises(StageError, match=message):
            pretrain.main(
                on_charades(tiny, tmp_path / "a.pt", more=("--frame-labels", str(path)))
            )
    assert not (tmp_path / "a.pt").exists()


def test_the_file_changes_no_section():
    """Its place is no value: results with and without the key have the same hash."""
    plain = tiny_config()
    given = {**plain.pretrain.model_dump(), "frame_labels": "some/labels.h5"}
    other = tiny_config(pretrain=given)
    assert other.pretrain.frame_labels == "some/labels.h5"
    assert other.pretrain.canonical() == plain.pretrain.canonical()
