"""The challenge's text file: exact round trip, the official reading rules."""

import numpy as np
import pytest

from ssdet.evaluate.submission import read_submission, write_submission


def lines(path, *texts):
    path.write_text("".join(text + "\n" for text in texts))
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_round_trip_is_exact(tmp_path, dtype):
    draws = np.random.default_rng(0)
    scores = draws.normal(size=(2, 25, 3)) * 10.0 ** draws.integers(-9, 9, (2, 25, 1))
    scores = scores.astype(dtype)
    write_submission(tmp_path / "s.txt", zip("ba", scores, strict=True))
    text = (tmp_path / "s.txt").read_text().splitlines()
    assert len(text) == 50 and text[0].startswith("b 1 ") and len(text[0].split()) == 5
    found = read_submission(tmp_path / "s.txt", ["a", "b"], 3)
    assert found.given.all() and found.unknown == ()
    np.testing.assert_array_equal(found.scores, scores[::-1])


def test_missing_lines_score_minus_infinity(tmp_path):
    path = lines(tmp_path / "s.txt", "a 2 0.5 0.25", "", "a 25 1 2")
    submission = read_submission(path, ["a", "b"], 2)
    found = submission.scores
    assert np.argwhere(submission.given).tolist() == [[0, 1], [0, 24]]
    assert found[0, 1].tolist() == [0.5, 0.25] and found[0, 24].tolist() == [1, 2]
    assert np.isneginf(found).sum() == 2 * 50 - 4


def test_the_smallest_number_decides_where_counting_starts(tmp_path):
    path = lines(tmp_path / "s.txt", "other 0 9", "a 1 5", "a 24 6", "a 25 7")
    found = read_submission(path, ["a"], 1)
    assert np.flatnonzero(found.given).tolist() == [1, 24]
    assert (found.scores[0, 1], found.scores[0, 24]) == (5, 6)


def test_others_are_ignored_and_the_last_line_counts(tmp_path):
    path = lines(tmp_path / "s.txt", "a 1 1", "x 1 2", "a 26 3", "a 1 4", "a -3 5")
    found = read_submission(path, ["a"], 1)
    assert found.given.sum() == 1 and found.scores[0, 0, 0] == 4
    assert (found.unknown, found.outside, found.repeated) == (("x",), 2, 1)


def test_bad_lines_are_listed(tmp_path):
    path = lines(tmp_path / "s.txt", "a 1 1 2", "a 1", "a one 1", "a 1 ?", "a 2 nan")
    with pytest.raises(ValueError, match="line 1: 4 fields instead of 3") as caught:
        read_submission(path, ["a"], 1)
    for part in ("line 2: 2 fields", "line 3: ", "line 4: ", "line 5: a score is NaN"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("video_id", "scores"),
    [
        ("a", np.zeros((24, 2))),
        ("a", np.full((25, 2), np.inf)),
        ("a b", np.zeros((25, 2))),
    ],
)
def test_what_the_format_cannot_hold_is_refused(tmp_path, video_id, scores):
    with pytest.raises(ValueError, match=f"video '?{video_id}'?: "):
        write_submission(tmp_path / "s.txt", [(video_id, scores)])
    assert list(tmp_path.iterdir()) == []
