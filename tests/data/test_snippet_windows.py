import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssdet.data.snippet_windows import cut, share_inside, window_starts


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(3, [0]), (4, [0]), (5, [0, 1]), (8, [0, 2, 4]), (9, [0, 2, 4, 5])],
)
def test_starts(rows, expected):
    assert window_starts(rows, 4, 0.5) == expected


@given(st.integers(1, 300), st.integers(1, 50), st.floats(0, 0.99))
def test_windows_cover_the_video(rows, length, overlap):
    starts = window_starts(rows, length, overlap)
    assert starts == sorted(set(starts))
    covered = {row for start in starts for row in range(start, start + length)}
    assert set(range(rows)) <= covered
    if rows >= length:
        assert max(covered) == rows - 1


def test_rows_after_the_end_are_zero():
    window = cut(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), 1, 4)
    assert window.tolist() == [[3, 5, 0, 0], [4, 6, 0, 0]]


@pytest.mark.parametrize(
    ("segment", "expected"),
    [((0, 10), 0.5), ((6, 8), 1.0), ((20, 30), 0.0), ((6, 6), 0.0), ((4, 6), 0.5)],
)
def test_share(segment, expected):
    assert share_inside(*segment, 5, 15) == expected
