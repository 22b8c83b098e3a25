import numpy as np
import pytest
import torch

from ssdet.config import SpotFeatures
from ssdet.data.annotations import Segment, VideoRecord
from ssdet.data.feature_files import FeatureFiles
from ssdet.data.feature_shard import VideoFeatures, write_features
from ssdet.data.snippet_sets import read_snippets
from ssdet.data.snippet_sources import StoredSnippets
from ssdet.data.snippet_targets import Block


def record(video_id, *segments, duration_s=10.0):
    return VideoRecord(
        video_id, duration_s, tuple(Segment(*s) for s in segments), "training"
    )


def made(**changes):
    """What features should be: two wide."""
    plain = {"source": "files", "stage": "pretrain", "pretext": "cls"}
    plain |= {"map": "conv5", "width": 2, "length": None, "windows": None}
    return SpotFeatures.model_validate(plain | changes)


@pytest.fixture
def source(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(8.0).reshape(4, 2))
    np.save(tmp_path / "b.npy", np.ones((9, 2)))
    return FeatureFiles(tmp_path)


def test_videos_are_resampled(source):
    found = read_snippets(source, [record("b"), record("a")], made(), 2, 0.0, {})
    assert [r.video_id for r in found.records] == ["b", "a"]
    assert found.features[1].tolist() == [[1, 5], [2, 6]]
    assert found.covered_s == (10.0, 10.0)


def test_blocks_of_a_video(source):
    segments = ((0.0, 4.9, "x"), (5.0, 30.0, "y"), (10.0, 12.0, "x"), (3.0, 3.0, "y"))
    found = read_snippets(source, [record("a", *segments)], made(), 10, 0.0, {})
    blocks = found.blocks(0, {"x": 0, "y": 1}, "fixed")
    # past the end is cut; what begins at the end, or has no length, is nowhere
    assert blocks == [Block(0, 5, 0), Block(5, 10, 1)]


def test_missing_features(source):
    records = [record("a"), record("b"), record("c"), record("d")]
    with pytest.raises(ValueError, match="2 of 4 videos have no features: c, d"):
        read_snippets(source, records, made(), 5, 0.4, {})
    found = read_snippets(source, records, made(), 5, 0.5, {})
    assert found.missing == ("c", "d")
    assert len(found.records) == len(found.features) == 2
    with pytest.raises(ValueError, match="1 of 1 videos have no features"):
        read_snippets(source, [record("c")], made(), 5, 1.0, {})


def test_other_width(source, tmp_path):
    np.save(tmp_path / "c.npy", np.ones((3, 5)))
    with pytest.raises(
        ValueError, match=r"1 of 2 videos are not \(any, 2\) .*: c \(3, 5\)"
    ):
        read_snippets(
            FeatureFiles(tmp_path), [record("a"), record("c")], made(), 5, 0.0, {}
        )


def test_other_length(source):
    records = [record("a"), record("b")]
    with pytest.raises(ValueError, match=r"are not \(4, 2\) as .*: b \(9, 2\)"):
        read_snippets(source, records, made(length=4), 5, 0.0, {})
    assert len(read_snippets(source, records[:1], made(length=4), 5, 0.0, {}).records)


def test_windows(source):
    """b: nine rows of 1 s each in windows of 4 rows; they begin at 0, 2, 4 and 5 s."""
    windows = {"overlap": 0.5, "inside": 0.5}
    segments = ((0.0, 3.0, "x"), (3.5, 5.0, "y"), (8.0, 9.0, "x"))
    one = record("b", *segments, duration_s=9.0)
    found = read_snippets(source, [one], made(windows=windows), 4, 0.0, {})
    assert found.start_s == (0.0, 2.0, 4.0, 5.0)
    assert found.covered_s == (4.0,) * 4
    assert found.videos == 1
    blocks = [found.blocks(n, {"x": 0, "y": 1}, "fixed") for n in range(4)]
    assert blocks == [
        [Block(0, 3, 0)],  # a third of y
        [Block(1, 3, 1)],  # a third of the first x
        [Block(0, 1, 1)],  # two thirds of y
        [Block(3, 4, 0)],
    ]


def test_a_short_video_is_one_window_with_nothing_at_its_end(source):
    windows = {"overlap": 0.5, "inside": 0.5}
    one = record("a", duration_s=8.0)
    found = read_snippets(source, [one], made(windows=windows), 6, 0.0, {})
    assert found.features[0, 0].tolist() == [0, 2, 4, 6, 0, 0]
    assert (found.start_s, found.covered_s) == ((0.0,), (12.0,))


def test_unknown_duration(source):
    with pytest.raises(ValueError, match="how long 1 videos are is not known: a"):
        read_snippets(
            source, [record("a", duration_s=None)], made(), 5, 0.0, {"b": 1.0}
        )


def test_stored_features(tmp_path):
    """The mean over the picture, with the time that the rows cover."""
    maps = torch.arange(24.0).view(3, 2, 2, 2)  # (T, C, H, W)
    write_features(
        tmp_path / "shard-000.h5",
        [VideoFeatures("a", {"conv5": maps}, np.zeros((3, 1)), 30, 3.0)],
        3,
        {"stride": 10, "classes": ["x"]},
        "float32",
        None,
        lambda: {},
    )
    source = StoredSnippets(tmp_path, ["shard-000.h5"], "conv5")
    assert source.read("a").tolist() == [[1.5, 5.5], [9.5, 13.5], [17.5, 21.5]]
    assert source.covered_s("a", 3.0) == 3.0
    found = read_snippets(
        source, [record("a", duration_s=None)], made(), 3, 0.0, {"a": 3.0}
    )
    assert found.features[0].tolist() == [[1.5, 9.5, 17.5], [5.5, 13.5, 21.5]]
    other = StoredSnippets(tmp_path, ["shard-000.h5"], "layer4")
    assert other.identity != source.identity
