"""Files of labels over time: what is written is read again, at any time."""

import h5py
import pytest

from ssdet.data.frame_label_file import FrameLabels, write_frame_labels

A = [[1, 0], [1, 1], [0, 0]]
B = [[0, 1]]


def write(path, videos, classes=("run", "sit")):
    write_frame_labels(
        path,
        videos,
        dataset="home",
        classes=classes,
        checkpoint_sha256="0" * 64,
        provenance={"stage": "label_frames"},
    )
    return path


def test_rows_cover_their_time(tmp_path):
    """Rows of 0.1 s: on a border the later row counts; before and after is nothing."""
    labels = FrameLabels(write(tmp_path / "l.h5", {"b": (B, 2.0), "a": (A, 0.1)}))
    assert labels.video_ids == ["a", "b"]
    assert labels.classes == ("run", "sit")
    assert labels.provenance == {"stage": "label_frames"}
    times = [0.0, 0.09, 0.1, 0.2, 0.29, 0.3, 7.0, -0.01]
    rows = [A[0], A[0], A[1], A[2], A[2], [0, 0], [0, 0], [0, 0]]
    assert labels.at("a", times).tolist() == rows
    assert labels.at("b", [1.9, 2.1]).tolist() == [[0, 1], [0, 0]]
    assert "a" in labels and "c" not in labels
    with pytest.raises(KeyError, match=r"l\.h5 has no video c"):
        labels.at("c", [0.0])


@pytest.mark.parametrize(
    ("video", "message"),
    [
        (([[1]], 0.1), r"video a: labels must be \(T, 2\), got \(1, 1\)"),
        (([], 0.1), r"video a: labels must be \(T, 2\)"),
        (([[2, 0]], 0.1), "video a: labels must be 0 or 1"),
        ((A, 0.0), "each row above 0 s"),
    ],
)
def test_impossible_labels_are_not_written(tmp_path, video, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "l.h5", {"a": video})
    assert not list(tmp_path.iterdir())


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no file .*l\.h5; run label_frames again"):
        FrameLabels(tmp_path / "l.h5")
    path = write(tmp_path / "l.h5", {"a": (A, 0.1)})
    with h5py.File(path, "a") as file:
        del file.attrs["complete"]
    with pytest.raises(ValueError, match="is incomplete; run label_frames again"):
        FrameLabels(path)
