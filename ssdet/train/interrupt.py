"""SIGTERM means: save, end, be run again. A cluster sends it before it kills."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from ssdet.stage import Interrupted

log = logging.getLogger(__name__)

EXIT_STATUS = 143  # of a program that SIGTERM ended


class Interrupt:
    """Whether the run is to stop."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.came = False
        self.at_once = False

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: remember it, or end the run if nothing would be lost."""
        self.came = True
        if self.at_once:
            self._end()

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """A block that may be broken off anywhere: the state is saved.

        Raises:
            Interrupted: a signal comes, or had come.
        """
        self.at_once = True
        try:
            if self.came:
                self._end()
            yield
        finally:
            self.at_once = False

    def _end(self) -> NoReturn:
        log.warning("stopped by a signal, state saved before")
        raise Interrupted(EXIT_STATUS)


@contextmanager
def catch_signals() -> Iterator[Interrupt]:
    """Catch SIGTERM and SIGINT instead of dying from them."""
    interrupt = Interrupt()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, interrupt.receive) for number in numbers}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
