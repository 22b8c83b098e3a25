"""Which shard a video belongs to: one map for all stages.

All annotated videos of a data set, of both splits, also those that are missing, sorted
by id; shard = position // frames.shard_videos.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable


def shard_name(shard: int) -> str:
    """The file name of a shard."""
    return f"shard-{shard:03d}.h5"


def shard_of(video_ids: Collection[str], shard_videos: int) -> dict[str, int]:
    """The shard of every video.

    Args:
        video_ids: all annotated videos of the data set, in any order.
        shard_videos: videos in a shard, at least 1.

    Raises:
        ValueError: an id comes twice.
    """
    ordered = sorted(set(video_ids))
    if len(ordered) < len(video_ids):
        raise ValueError(
            f"{len(video_ids) - len(ordered)} video ids come twice; the shard map needs"
            " each once"
        )
    return {name: position // shard_videos for position, name in enumerate(ordered)}


def shard_count(videos: int, shard_videos: int) -> int:
    """How many shards a data set of so many videos has."""
    return -(-videos // shard_videos)


def ids_of_shard(
    video_ids: Collection[str], shard: int, shard_videos: int
) -> list[str]:
    """The videos of one shard, sorted.

    Args:
        video_ids: all annotated videos of the data set, in any order.
        shard: number of the shard.
        shard_videos: videos in a shard, at least 1.

    Raises:
        ValueError: there is no such shard.
    """
    count = shard_count(len(video_ids), shard_videos)
    if not 0 <= shard < count:
        raise ValueError(
            f"no shard {shard}: {len(video_ids)} videos at {shard_videos} a shard"
            f" (config key frames.shard_videos) make shards 0 to {count - 1}"
        )
    of = shard_of(video_ids, shard_videos)
    return sorted(name for name, number in of.items() if number == shard)


def shards_with(
    chosen: Iterable[str], video_ids: Collection[str], shard_videos: int
) -> list[int]:
    """The shards that hold at least one of the chosen videos, in order.

    Args:
        chosen: some of the videos, e.g. those of one split.
        video_ids: all annotated videos of the data set.
        shard_videos: videos in a shard, at least 1.
    """
    of = shard_of(video_ids, shard_videos)
    return sorted({of[name] for name in chosen})
