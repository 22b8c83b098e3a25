"""Progress with a clock that the test moves."""

import logging
import sys

import pytest

from ssdet.progress import Progress


class Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="ssdet.progress")
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_line_now_and_then(clock, lines):
    with Progress(100, "pretrain", "step", interval_s=10, clock=clock) as progress:
        for second in range(1, 21):
            clock.now_s = 100.0 + second
            progress.advance(2, loss=1 / second, waited_s=0.25)
    assert lines() == [
        "pretrain: 20/100 steps (20 %), 2 steps/s, loss 0.1000, waiting for data 25 %,"
        " 0:00:40 left",
        "pretrain: 40/100 steps (40 %), 2 steps/s, loss 0.0500, waiting for data 25 %,"
        " 0:00:30 left",
    ]


def test_earlier_work_does_not_count_for_the_rate(clock, lines):
    with Progress(30, "fine", "step", done=20, clock=clock) as progress:
        clock.now_s += 20
        progress.advance(5)
        clock.now_s += 20
        progress.advance(5)
    assert lines()[0] == "fine: 25/30 steps (83 %), 4 s/step, 0:00:20 left"
    assert lines()[-1] == "fine: 30/30 steps (100 %), 4 s/step, took 0:00:40"


def test_nothing_done_and_nothing_to_do(clock):
    assert str(Progress(0, "frames", "video", clock=clock)) == (
        "frames: 0/0 videos, 0 videos/s, took 0:00:00"
    )
    assert str(Progress(1, "frames", "video", clock=clock)).endswith("time left: ?")


def test_last_line_comes_also_after_an_error(clock, lines):
    with (
        pytest.raises(RuntimeError),
        Progress(9, "frames", "video", clock=clock) as progress,
    ):
        clock.now_s += 1
        progress.advance()
        raise RuntimeError
    assert lines() == ["frames: 1/9 videos (11 %), 1 videos/s, 0:00:08 left"]


def test_a_bar_on_a_terminal(clock, monkeypatch, capsys, lines):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Progress(4, "predict", "video", interval_s=0, clock=clock) as progress:
        clock.now_s += 2
        progress.advance(4)
    shown = capsys.readouterr().err
    assert "predict" in shown and "4/4" in shown
    assert lines() == ["predict: 4/4 videos (100 %), 2 videos/s, took 0:00:02"]


def test_lines_on_a_terminal_without_rich(clock, monkeypatch, lines):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with Progress(4, "predict", "video", interval_s=1, clock=clock) as progress:
        clock.now_s += 2
        progress.advance(1)
    assert lines() == ["predict: 1/4 videos (25 %), 2 s/video, 0:00:06 left"]
