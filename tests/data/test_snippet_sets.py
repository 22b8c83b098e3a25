import numpy as np
import pytest
import torch

from ssdet.data.annotations import Segment, VideoRecord
from ssdet.data.feature_files import FeatureFiles
from ssdet.data.feature_shard import VideoFeatures, write_features
from ssdet.data.snippet_sets import StoredSnippets, read_snippets
from ssdet.data.snippet_targets import Block


def record(video_id, *segments, duration_s=10.0):
    return VideoRecord(
        video_id, duration_s, tuple(Segment(*s) for s in segments), "training"
    )


@pytest.fixture
def source(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(8.0).reshape(4, 2))
    np.save(tmp_path / "b.npy", np.ones((9, 2)))
    return FeatureFiles(tmp_path)


def test_videos_are_resampled(source):
    found = read_snippets(source, [record("b"), record("a")], 2, 2, 0.0, {})
    assert [r.video_id for r in found.records] == ["b", "a"]
    assert found.features[1].tolist() == [[1, 5], [2, 6]]
    assert found.covered_s == (10.0, 10.0)


def test_blocks_of_a_video(source):
    segments = ((0.0, 4.9, "x"), (5.0, 30.0, "y"), (10.0, 12.0, "x"), (3.0, 3.0, "y"))
    found = read_snippets(source, [record("a", *segments)], 2, 10, 0.0, {})
    blocks = found.blocks(0, {"x": 0, "y": 1}, "fixed")
    # past the end is cut; what begins at the end, or has no length, is nowhere
    assert blocks == [Block(0, 5, 0), Block(5, 10, 1)]


def test_missing_features(source):
    records = [record("a"), record("b"), record("c"), record("d")]
    with pytest.raises(ValueError, match="2 of 4 videos have no features: c, d"):
        read_snippets(source, records, 2, 5, 0.4, {})
    found = read_snippets(source, records, 2, 5, 0.5, {})
    assert found.missing == ("c", "d")
    assert len(found.records) == len(found.features) == 2
    with pytest.raises(ValueError, match="1 of 1 videos have no features"):
        read_snippets(source, [record("c")], 2, 5, 1.0, {})


def test_other_width(source, tmp_path):
    np.save(tmp_path / "c.npy", np.ones((3, 5)))
    with pytest.raises(ValueError, match=r"1 of 2 videos are not 2 wide .*: c \(5\)"):
        read_snippets(FeatureFiles(tmp_path), [record("a"), record("c")], 2, 5, 0.0, {})


def test_unknown_duration(source):
    with pytest.raises(ValueError, match="how long 1 videos are is not known: a"):
        read_snippets(source, [record("a", duration_s=None)], 2, 5, 0.0, {"b": 1.0})


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
    found = read_snippets(source, [record("a", duration_s=None)], 2, 3, 0.0, {"a": 3.0})
    assert found.features[0].tolist() == [[1.5, 9.5, 17.5], [5.5, 13.5, 21.5]]
    other = StoredSnippets(tmp_path, ["shard-000.h5"], "layer4")
    assert other.identity != source.identity
