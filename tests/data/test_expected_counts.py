"""Label files with other counts than the published ones are noticed."""

import pytest

from ssdet.config import ExpectedCounts
from ssdet.data.annotations import (
    AnnotationError,
    Dataset,
    VideoRecord,
    check_expected,
)

DATA = Dataset(
    "mine",
    ("jump", "run"),
    (
        *(VideoRecord(video, None, (), "training") for video in "abc"),
        VideoRecord("d", None, (), "testing"),
    ),
    {},
)


@pytest.mark.parametrize(
    "expected",
    [
        None,
        {"training": 3, "testing": 1, "classes": 2},
        {"training": None, "testing": None, "classes": 2},
    ],
)
def test_as_expected(expected):
    check_expected(DATA, expected and ExpectedCounts(**expected))


def test_other_counts_are_all_named_with_what_to_do():
    expected = ExpectedCounts(training=7985, testing=1, classes=157)
    with pytest.raises(AnnotationError) as caught:
        check_expected(DATA, expected)
    message = str(caught.value)
    assert "training: 3, expected 7,985" in message
    assert "classes: 2, expected 157" in message
    assert "testing:" not in message
    assert "set datasets.mine.expected to your numbers, or to null" in message
