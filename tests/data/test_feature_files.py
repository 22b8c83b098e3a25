import numpy as np
import pytest

from ssdet.data.feature_files import FeatureFiles, read_video_table


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "v_a.npy", np.arange(6.0).reshape(3, 2))
    (tmp_path / "b.csv").write_text("f0,f1\n1,2\n3,4.5\n")
    (tmp_path / "notes.txt").write_text("not features")
    return tmp_path


def test_both_kinds_under_either_name(folder):
    files = FeatureFiles(folder)
    assert files.read("a").tolist() == [[0, 1], [2, 3], [4, 5]]
    assert files.read("v_b").tolist() == [[1, 2], [3, 4.5]]
    assert "v_a" in files
    assert "c" not in files


def test_features_of_a_network_over_pictures(folder):
    np.save(folder / "i3d.npy", np.arange(6.0).reshape(3, 1, 1, 2))
    assert FeatureFiles(folder).read("i3d").tolist() == [[0, 1], [2, 3], [4, 5]]


def test_one_snippet(folder):
    (folder / "one.csv").write_text("f0,f1\n1,2\n")
    assert FeatureFiles(folder).read("one").tolist() == [[1, 2]]


def test_real_features(shared):
    """Five snippets of 400 TSN channels."""
    folder = shared / "data" / "annotations" / "mini"
    rows = FeatureFiles(folder).read("activitynet_features_v_test1")
    assert rows.shape == (5, 400)


def test_covered_time(folder, tmp_path):
    assert FeatureFiles(folder).covered_s("a", 20.0) == 20.0
    table = tmp_path / "table.txt"
    table.write_text("video,numFrame,seconds,featureFrame\nv_a,1000,20,950\n")
    files = FeatureFiles(folder, table)
    assert files.covered_s("a", 20.0) == pytest.approx(19.0)
    assert files.covered_s("b", 20.0) == 20.0


def test_published_table(shared):
    folder = shared / "data" / "annotations" / "activitynet"
    facts = read_video_table(folder / "video_info_new.csv.gz")
    assert len(facts) == 19228
    assert facts["---9CpRcKoU"] == (418, 400, 14.07)


def test_identity_changes_with_the_files(folder):
    before = FeatureFiles(folder).identity
    assert FeatureFiles(folder).identity == before
    (folder / "b.csv").write_text("f0,f1\n1,2\n3,4\n")
    assert FeatureFiles(folder).identity != before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.csv", "f0,f1\n1,x\n", "cannot be read as features"),
        ("c.csv", "f0,f1\n1,2\n3\n", "cannot be read as features"),
        ("c.csv", "f0,f1\n", r"should hold features \(snippets, channels\)"),
        ("c.csv", "f0,f1\n1,nan\n", "not finite"),
        ("c.npy", "text", "cannot be read as features"),
    ],
)
def test_bad_files(folder, name, content, message):
    (folder / name).write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        FeatureFiles(folder).read("c")
    assert str(folder / name) in str(caught.value)


def test_bad_folders(folder, tmp_path):
    with pytest.raises(ValueError, match="no folder of features at"):
        FeatureFiles(folder / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"has no \.csv or \.npy file"):
        FeatureFiles(tmp_path / "empty")
    np.save(folder / "v_b.npy", np.zeros((1, 2)))
    with pytest.raises(ValueError, match="both of one video"):
        FeatureFiles(folder)


def test_bad_table(folder, tmp_path):
    table = tmp_path / "table.txt"
    table.write_text("video,frames\na,3\n")
    with pytest.raises(ValueError, match="columns video, numFrame, featureFrame and"):
        FeatureFiles(folder, table)
