import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssdet.evaluate.segment_overlap import overlap

TIMES = st.floats(-100, 100)
SEGMENTS = st.tuples(TIMES, st.floats(0, 50)).map(lambda s: (s[0], s[0] + s[1]))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 10), (0, 10), 1.0),
        ((0, 10), (5, 15), 1 / 3),
        ((0, 10), (2, 4), 0.2),
        ((0, 10), (10, 20), 0.0),
        ((5, 5), (5, 5), 0.0),
        ((0, 10), (5, 5), 0.0),
    ],
)
def test_overlap(a, b, expected):
    assert overlap([a], [b]).tolist() == [[pytest.approx(expected)]]


def test_no_segments():
    assert overlap([], [(0, 1)]).shape == (0, 1)


@given(SEGMENTS, SEGMENTS)
def test_symmetric_and_a_share(a, b):
    there, back = overlap([a], [b])[0, 0], overlap([b], [a])[0, 0]
    assert there == pytest.approx(back)
    assert 0 <= there <= 1 + 1e-12
