"""Runs a function over many files in several processes, and survives their deaths."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 4  # items handed out for each worker: bounds what waits in memory


def run_each(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    died: Callable[[Item], Result],
) -> Iterator[tuple[Item, Result]]:
    """Call a function on every item; give the results as they come, in any order.

    A process that dies (a decoder that crashes, memory that runs out) costs only its
    own item: what was under way is run again, each item alone.

    Args:
        function: of a module, not a lambda; takes and gives what can be pickled.
        items: its arguments.
        workers: processes; 0: none, work in this one.
        died: gives the result of an item that killed its process.
    """
    if workers < 1:
        for item in items:
            yield item, function(item)
        return
    left = iter(items)
    suspects: list[Item] = []
    more = True
    while more:
        suspects, more = [], False
        with _pool(workers) as pool:
            running: dict[Future[Result], Item] = {}
            try:
                for item in left:
                    suspects = [item]
                    running[pool.submit(function, item)] = item
                    suspects = []
                    if len(running) >= AHEAD * workers:
                        yield from _finished(running)
                while running:
                    yield from _finished(running)
            except BrokenProcessPool:
                suspects += running.values()
                more = True
            finally:
                pool.shutdown(cancel_futures=True)
        for item in suspects:
            yield item, _alone(function, item, died)


def _finished(
    running: dict[Future[Result], Item],
) -> Iterator[tuple[Item, Result]]:
    """Wait for at least one, and take all that are finished out of `running`."""
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        result = future.result()  # raises before it is taken out
        yield running.pop(future), result


def _alone(
    function: Callable[[Item], Result], item: Item, died: Callable[[Item], Result]
) -> Result:
    try:
        with _pool(1) as pool:
            return pool.submit(function, item).result()
    except BrokenProcessPool:
        return died(item)


def _pool(workers: int) -> ProcessPoolExecutor:
    # Not forked: the process that forks may hold threads and locks of PyTorch, HDF5.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Let this worker end when the stage is killed, instead of waiting for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait_for_parent() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait_for_parent, daemon=True).start()
