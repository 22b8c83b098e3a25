import numpy as np
import pytest
import torch

from ssdet.data.feature_store import FeatureStore, VideoFeatures, write_features
from ssdet.data.step_features import FolderSteps, StoredSteps, refuse_missing


@pytest.fixture
def store(tmp_path):
    """Two videos; conv5 is row + column / 4 in 2 x 2 places, head 10 times the row."""
    videos = []
    for name, length in (("a", 3), ("b", 2)):
        rows = np.arange(length, dtype=np.float32)[:, None, None, None]
        places = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2) / 4
        maps = {
            "conv5": np.broadcast_to(rows + places, (length, 5, 2, 2)),
            "head": np.broadcast_to(10 * rows, (length, 7, 1, 1)),
        }
        videos.append(VideoFeatures(name, maps, np.zeros((length, 1)), 9, 1.5))
    for split in ("training", "testing"):
        write_features(
            tmp_path / split / "shard-000.h5",
            videos,
            5,
            {"stride": 4, "split": split},
            "float16",
            None,
            dict,
        )
    return tmp_path


@pytest.mark.parametrize(
    ("key", "width", "second"), [("conv5", 5, 1.375), ("head", 7, 10)]
)
def test_cached_maps_are_averaged_over_space(store, key, width, second):
    features = StoredSteps(FeatureStore(store / "training"), key)
    assert features.width == width
    assert (features.steps("a"), features.steps("b")) == (3, 2)
    read = features.read("a", 1, 3)
    assert read.dtype == torch.float32
    assert read.shape == (width, 2)
    assert read[:, 0].tolist() == [second] * width


def test_both_splits_have_one_identity(store):
    one, other = (
        StoredSteps(FeatureStore(store / split), "conv5").identity
        for split in ("training", "testing")
    )
    assert one == other
    assert one["key"] == "conv5"


@pytest.mark.parametrize("shape", [(3, 1, 1, 4), (3, 4)])
def test_published_files_are_read(tmp_path, shape):
    array = np.arange(12.0, dtype=np.float64).reshape(shape)
    np.save(tmp_path / "v.npy", array)
    features = FolderSteps(tmp_path)
    assert (features.width, features.steps("v")) == (4, 3)
    assert features.video_ids == ["v"]
    assert features.read("v", 1, 3).tolist() == [[4, 8], [5, 9], [6, 10], [7, 11]]
    assert features.read("v", 0, 3).dtype == torch.float32


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 2, 1, 4)), r"v\.npy must be \(F, 1, 1, D\) .* is \(3, 2, 1, 4\)"),
        (np.zeros((0, 4)), r"F at least 1, is \(0, 4\)"),
        (np.full((3, 4), np.nan), "numbers that are not finite"),
        (np.zeros((3, 5)), "has 5 features for each step, others have 4"),
    ],
    ids=["shape", "empty", "nan", "width"],
)
def test_bad_files_are_named(tmp_path, array, message):
    np.save(tmp_path / "a.npy", np.zeros((1, 4)))
    np.save(tmp_path / "v.npy", array)
    with pytest.raises(ValueError, match=message):
        FolderSteps(tmp_path).read("v", 0, 1)


def test_a_file_that_is_no_array(tmp_path):
    (tmp_path / "v.npy").write_text("text")
    with pytest.raises(ValueError, match=r"v\.npy is not a NumPy array"):
        FolderSteps(tmp_path).steps("v")


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no folder of features at .*head\.external"):
        FolderSteps(tmp_path / "none")
    with pytest.raises(ValueError, match=r"holds no \.npy file"):
        FolderSteps(tmp_path)
    np.save(tmp_path / "v.npy", np.zeros((3, 4)))
    features = FolderSteps(tmp_path)
    with pytest.raises(ValueError, match=r"no features at .*w\.npy"):
        features.read("w", 0, 1)
    with pytest.raises(ValueError, match=r"v\.npy has steps 0 to 2, asked for 1 to 4"):
        features.read("v", 1, 5)
    refuse_missing(features, ["v"])
    with pytest.raises(ValueError, match=r"2 of 3 videos have no features: u, w\."):
        refuse_missing(features, ["v", "w", "u"])
