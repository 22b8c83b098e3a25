"""Frames that a decoder gives with times out of order."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

# Frames within which timestamps may be out of order: the most that H.264 reorders.
REORDERED = 16
Item = TypeVar("Item")


def in_order(timed: Iterable[tuple[float, Item]]) -> Iterator[tuple[float, Item]]:
    """Give each item the earliest time not yet given, REORDERED items ahead."""
    times: list[float] = []  # a heap
    items: deque[Item] = deque()
    for time_s, item in timed:
        heapq.heappush(times, time_s)
        items.append(item)
        if len(items) > REORDERED:
            yield heapq.heappop(times), items.popleft()
    while items:
        yield heapq.heappop(times), items.popleft()
