import pytest
import torch

from ssdet.data.snippets import covered_s, rescale


def test_half_as_many_snippets_are_means_of_two():
    rows = torch.tensor([[0.0], [2.0], [4.0], [10.0]])
    assert rescale(rows, 2).tolist() == [[1.0, 7.0]]


def test_one_row_is_everywhere():
    assert rescale(torch.tensor([[3.0, -1.0]]), 4).tolist() == [[3.0] * 4, [-1.0] * 4]


def test_as_many_snippets_are_the_rows():
    rows = torch.randn(7, 3)
    torch.testing.assert_close(rescale(rows, 7), rows.T)


@pytest.mark.parametrize("shape", [(0, 3), (3,), (1, 2, 3)])
def test_no_features(shape):
    with pytest.raises(ValueError, match=r"features must be \(L, C\), are"):
        rescale(torch.zeros(shape), 4)


@pytest.mark.parametrize(
    ("feature_frames", "expected"),
    [(900, 90.0), (1050, 105.0), (899, 100.0), (1051, 100.0), (432, 100.0)],
)
def test_an_implausible_share_is_not_believed(feature_frames, expected):
    assert covered_s(100.0, feature_frames, 1000) == pytest.approx(expected)
