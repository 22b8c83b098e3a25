"""The file of predictions: round trip, refusals, nothing half written."""

import h5py
import numpy as np
import pytest

from ssdet.data.predictions import Predictions, write_predictions

CLASSES = ("sit", "stand", "wave")


def video(name, rows, seed=0):
    draws = np.random.default_rng(seed + rows)
    logits = draws.normal(size=(rows, len(CLASSES))).astype(np.float32)
    return name, logits, np.arange(rows) * 0.4


def write(path, videos, **changes):
    facts = {
        "model": "fine_cls",
        "dataset": "home",
        "classes": CLASSES,
        "checkpoint_sha256": "ab" * 32,
        "provenance": lambda: {"stage": "predict", "revision": 1},
    }
    write_predictions(path, videos, **(facts | changes))


def test_round_trip(tmp_path):
    videos = [video("b", 300), video("käse", 1), video("a_long_name", 7)]
    write(tmp_path / "deep" / "p.h5", iter(videos))
    with Predictions(tmp_path / "deep" / "p.h5") as found:
        assert (found.model, found.dataset, found.classes) == (
            "fine_cls",
            "home",
            CLASSES,
        )
        assert found.checkpoint_sha256 == "ab" * 32
        assert found.provenance == {"stage": "predict", "revision": 1}
        assert found.video_ids == ["a_long_name", "b", "käse"]
        assert len(found) == 3 and "b" in found and "c" not in found
        for name, logits, times_s in videos:
            got_logits, got_times = found[name]
            assert got_logits.dtype == np.float32 and got_times.dtype == np.float64
            np.testing.assert_array_equal(got_logits, logits)
            np.testing.assert_array_equal(got_times, times_s)
            assert found.rows(name) == len(logits)


def test_no_video_at_all(tmp_path):
    write(tmp_path / "p.h5", [])
    assert Predictions(tmp_path / "p.h5").video_ids == []


def test_provenance_is_asked_for_after_the_last_video(tmp_path):
    order = []

    def videos():
        yield video("a", 2)
        order.append("videos")

    def provenance():
        order.append("provenance")
        return {}

    write(tmp_path / "p.h5", videos(), provenance=provenance)
    assert order == ["videos", "provenance"]


def test_an_unknown_video_is_named(tmp_path):
    write(tmp_path / "p.h5", [video("a", 2)])
    with pytest.raises(KeyError, match=r"p\.h5 has no video z"):
        Predictions(tmp_path / "p.h5")["z"]


def broken(change):
    name, logits, times_s = video("a", 4)
    if change == "classes":
        logits = logits[:, :2]
    elif change == "nan":
        logits[2, 1] = np.nan
    elif change == "times":
        times_s = times_s[::-1]
    elif change == "lengths":
        times_s = times_s[:3]
    else:
        logits, times_s = logits[:0], times_s[:0]
    return name, logits, times_s


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("classes", r"video a: logits must be \(T, 3\).* got \(4, 2\) and \(4,\)"),
        ("lengths", r"got \(4, 3\) and \(3,\)"),
        ("nan", "video a: 1 of 12 logits are not finite"),
        ("times", "video a: times_s must be finite and rise"),
        ("empty", "video a has no rows"),
    ],
)
def test_bad_videos_leave_no_file(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "p.h5", [video("b", 3), broken(change)])
    assert list(tmp_path.iterdir()) == []


def test_a_video_comes_once(tmp_path):
    with pytest.raises(ValueError, match="video a was predicted twice"):
        write(tmp_path / "p.h5", [video("a", 3), video("a", 3)])


def test_an_interrupted_write_keeps_the_old_file(tmp_path):
    write(tmp_path / "p.h5", [video("old", 3)])

    def stopped():
        yield video("new", 3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "p.h5", stopped())
    assert Predictions(tmp_path / "p.h5").video_ids == ["old"]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("complete", None, "is incomplete; run predict again"),
        ("complete", False, "is incomplete; run predict again"),
        ("format", "ssdet_frames", "format 'ssdet_frames', expected 'ssdet_pred"),
        ("format", None, "format None, expected 'ssdet_predictions'"),
        ("version", 2, "version 2 of ssdet_predictions, this program reads version 1"),
    ],
)
def test_incomplete_and_foreign_files_are_refused(tmp_path, name, value, message):
    write(tmp_path / "p.h5", [video("a", 2)])
    with h5py.File(tmp_path / "p.h5", "a") as file:
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value
    with pytest.raises(ValueError, match=message):
        Predictions(tmp_path / "p.h5")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "p.h5").write_text("not HDF5")
    with pytest.raises(ValueError, match="is cut off or no HDF5 file"):
        Predictions(tmp_path / "p.h5")
    with pytest.raises(ValueError, match=r"no file .*none\.h5; run predict again"):
        Predictions(tmp_path / "none.h5")
