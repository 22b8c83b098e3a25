"""One map from videos to shards, the same for every stage."""

import pytest

from ssdet.data.shards import (
    ids_of_shard,
    shard_count,
    shard_name,
    shard_of,
    shards_with,
)

IDS = ["d", "a", "e", "c", "b"]


def test_position_in_sorted_order_divided_by_the_size():
    assert shard_of(IDS, 2) == {"a": 0, "b": 0, "c": 1, "d": 1, "e": 2}
    assert [ids_of_shard(IDS, shard, 2) for shard in range(3)] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]
    assert shard_of(IDS, 64) == dict.fromkeys("abcde", 0)


def test_shards_that_hold_some_of_the_videos():
    assert shards_with(["e", "b", "a"], IDS, 2) == [0, 2]
    assert shards_with([], IDS, 2) == []


@pytest.mark.parametrize(
    ("videos", "expected"), [(0, 0), (1, 1), (64, 1), (65, 2), (9848, 154)]
)
def test_count(videos, expected):
    assert shard_count(videos, 64) == expected


def test_names():
    assert [shard_name(n) for n in (0, 12, 3750)] == [
        "shard-000.h5",
        "shard-012.h5",
        "shard-3750.h5",
    ]


def test_errors():
    with pytest.raises(
        ValueError,
        match=r"no shard 3: 5 videos at 2 .*shard_videos\) make shards 0 to 2",
    ):
        ids_of_shard(IDS, 3, 2)
    with pytest.raises(ValueError, match="no shard -1"):
        ids_of_shard(IDS, -1, 2)
    with pytest.raises(ValueError, match="1 video ids come twice"):
        shard_of([*IDS, "a"], 2)
