"""Shows how far a long job is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

log = logging.getLogger(__name__)


class Progress:
    """Counts done units of a job and shows them.

    with Progress(steps, "pretrain", "step") as progress:
        for batch in batches:
            ...
            progress.advance(1, loss, waited_s)
    """

    def __init__(
        self,
        total: int,
        what: str,
        unit: str,
        done: int = 0,
        interval_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start counting.

        Args:
            total: units there are to do.
            what: name of the job.
            unit: what is counted, in the singular.
            done: units that an earlier run has done; they do not count for the rate.
            interval_s: seconds between two lines where stderr is no terminal.
            clock: gives the time in seconds.
        """
        self.total, self.what, self.unit, self.done = total, what, unit, done
        self._first, self._interval_s, self._clock = done, interval_s, clock
        self._loss: float | None = None
        self._waited_s = 0.0
        self._logged = ""
        self._start = self._last_line = clock()
        self._bar = _bar(total, what, done) if sys.stderr.isatty() else None

    def advance(
        self, n: int = 1, loss: float | None = None, waited_s: float = 0.0
    ) -> None:
        """Count `n` more units.

        Args:
            n: units done since the last call.
            loss: the latest loss, shown until the next one is given.
            waited_s: seconds of these units that went by waiting for data.
        """
        self.done += n
        self._waited_s += waited_s
        self._loss = self._loss if loss is None else loss
        now = self._clock()
        if self._bar is not None:
            self._bar.update(0, completed=self.done, state=self._state())
        elif now - self._last_line >= self._interval_s:
            self._last_line = now
            self._log()

    def __str__(self) -> str:
        """The state in one line, as it is logged."""
        share = f" ({100 * self.done / self.total:.0f} %)" if self.total else ""
        plural = "" if self.total == 1 else "s"
        count = f"{self.done}/{self.total} {self.unit}{plural}{share}"
        return f"{self.what}: {count}, {self._state()}"

    def _state(self) -> str:
        elapsed = max(self._clock() - self._start, 1e-9)
        rate = (self.done - self._first) / elapsed
        parts = [_rate(rate, self.unit)]
        if self._loss is not None:
            parts.append(f"loss {self._loss:.4f}")
        if self._waited_s:
            parts.append(f"waiting for data {100 * self._waited_s / elapsed:.0f} %")
        left = self.total - self.done
        if left > 0:
            parts.append(f"{_duration(left / rate)} left" if rate else "time left: ?")
        else:
            parts.append(f"took {_duration(elapsed)}")
        return ", ".join(parts)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._log()

    def _log(self) -> None:
        line = str(self)  # now, and not when a handler comes to it
        if line != self._logged:
            log.info("%s", line)
        self._logged = line


def _bar(total: int, what: str, done: int) -> Any:
    """A bar of rich on stderr, or None where rich is not installed."""
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
        )
        from rich.progress import (
            Progress as RichProgress,
        )
    except ImportError:
        return None
    bar = RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        console=Console(stderr=True),
    )
    bar.add_task(what, total=total, completed=done, state="")
    return bar


def _rate(per_second: float, unit: str) -> str:
    if per_second >= 1 or per_second == 0:
        return f"{per_second:.3g} {unit}s/s"
    return f"{1 / per_second:.3g} s/{unit}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
