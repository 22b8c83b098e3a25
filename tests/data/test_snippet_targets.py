import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssdet.data.snippet_targets import Block, block_of, class_mask, targets_of
from ssdet.data.snippets import covered_s

SHARES = st.floats(0, 1)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0.2, 0.5, (2, 5)),  # on borders: no more than that
        (0.25, 0.55, (2, 6)),
        (0.31, 0.32, (3, 4)),  # short: one snippet
        (-1.0, 0.05, (0, 1)),
        (0.95, 7.0, (9, 10)),
        (0.999999999999, 1.0, (9, 10)),
    ],
)
def test_every_snippet_that_an_action_touches(start, end, expected):
    assert block_of(start, end, 1, 10) == Block(*expected, 1)


@pytest.mark.parametrize(("start", "end"), [(0.5, 0.5), (0.6, 0.2), (1.2, 1.5)])
def test_nothing_of_an_action_without_length(start, end):
    assert block_of(start, end, 0, 10) is None


def test_the_reference_leaves_short_actions_out():
    assert block_of(0.2, 0.5, 0, 10, "reference") == Block(3, 4, 0)
    assert block_of(0.25, 0.55, 0, 10, "reference") == Block(3, 4, 0)
    assert block_of(0.31, 0.52, 0, 10, "reference") is None


@given(SHARES, SHARES, st.integers(1, 200))
def test_every_action_has_a_snippet(a, b, snippets):
    start, end = min(a, b), max(a, b)
    block = block_of(start, end, 0, snippets)
    assert (block is None) == (start == end)
    if block is not None:
        assert 0 <= block.start < block.end <= snippets
        assert block.start <= start * snippets + 1e-6
        assert block.end >= end * snippets - 1e-6


@given(SHARES, SHARES, st.integers(1, 200))
def test_backwards_time_turns_the_block(a, b, snippets):
    start, end = min(a, b), max(a, b)
    there, back = (
        block_of(*times, 0, snippets) for times in ((start, end), (1 - end, 1 - start))
    )
    if there is not None and back is not None:
        assert abs(there.start - (snippets - back.end)) <= 1
        assert abs(there.end - (snippets - back.start)) <= 1


def test_short_actions_lie_on_long_ones():
    blocks = [Block(4, 5, 1), Block(0, 6, 0)]
    fixed = targets_of(blocks, 2, 8)
    assert fixed.classes.tolist() == [0, 0, 0, 0, 1, 0, 2, 2]
    later = targets_of(blocks, 2, 8, "reference")
    assert later.classes.tolist() == [0, 0, 0, 0, 0, 0, 2, 2]


def test_the_mask_joins_snippets_of_one_action_only():
    mask = targets_of([Block(0, 2, 0), Block(2, 4, 0)], 1, 5).mask
    assert mask.tolist() == [
        [1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0],
    ]


def test_classes_may_overlap():
    rows = class_mask([Block(0, 3, 0), Block(2, 4, 1)], 2, 5)
    assert rows.tolist() == [[1, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]


def test_no_action_is_background():
    targets = targets_of([], 3, 4)
    assert targets.classes.tolist() == [3] * 4
    assert not targets.mask.any()


def test_every_real_action_is_kept(shared):
    """The published rule loses 1,827 of 22,152 (spec of SPOT, section 5)."""
    path = shared / "data/annotations/activitynet/anet_anno_action.json.gz"
    kept, published = 0, 0
    lengths = []
    for entry in json.loads(gzip.decompress(path.read_bytes())).values():
        frames = entry["feature_frame"], entry["duration_frame"]
        plain = entry["duration_second"] * frames[0] / frames[1]
        base = covered_s(entry["duration_second"], *frames)
        for annotation in entry["annotations"]:
            start, end = annotation["segment"]
            lengths.append(min(end, base) - start)
            kept += block_of(start / base, end / base, 0, 100) is not None
            ends = start / plain, end / plain
            published += block_of(*ends, 0, 100, "reference") is not None
    assert len(lengths) == 22152
    assert kept == sum(length > 0 for length in lengths)
    assert len(lengths) - published == 1827
