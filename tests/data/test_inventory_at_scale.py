"""An inventory of two thousand videos, twenty of them broken, killed and run again."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ssdet.data.inventory import main, read_inventory

ROOT = Path(__file__).resolve().parents[2]
VIDEOS = 2000
# Which videos are broken, and what their reasons begin with.
BROKEN = {
    "missing": ([3, 500, 1999], "no video file of this name"),
    "empty": ([0, 42, 1000, 1001], "the file is empty"),
    "text": ([7, 777, 1777], "not a video: "),
    "truncated": ([100, 200, 300, 1500], "not a video: "),
    "cut short": ([11, 12, 1313], "truncated: "),
    "no pictures": ([1234, 1235, 1236], "the file has no video stream"),
}

av = pytest.importorskip("av")


def name(number):
    return f"v{number:04d}"


def make_sound(path):
    """A file of a second of silence."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        silence = np.zeros((1, 8000), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def command(tmp_path, make_video):
    """Two thousand copies of three videos; the arguments of the stage."""
    sources = [
        make_video(tmp_path / f"source{i}.mp4", [9 * i] * 5).read_bytes()
        for i in range(3)
    ]
    noise = np.random.default_rng(0).integers(0, 256, (5, 48, 64, 3), np.uint8)
    noisy = make_video(tmp_path / "noisy.mp4", noise).read_bytes()
    short = make_video(tmp_path / "short.mkv", range(0, 250, 5))
    videos = tmp_path / "videos"
    videos.mkdir()
    for number in range(VIDEOS):
        (videos / f"{name(number)}.mp4").write_bytes(sources[number % 3])
    whole = make_sound(tmp_path / "sound.mp4").read_bytes()
    contents = {
        "empty": b"",
        "text": b"a page that says that the video is gone\n" * 20,
        "truncated": noisy[: len(noisy) // 2],  # what it holds stood at its end
        "no pictures": whole,
    }
    for kind, (numbers, _) in BROKEN.items():
        for number in numbers:
            path = videos / f"{name(number)}.mp4"
            if kind == "missing":
                path.unlink()
            elif kind == "cut short":
                data = short.read_bytes()
                path.write_bytes(data[: len(data) // 2])
            else:
                path.write_bytes(contents[kind])
    labels = tmp_path / "labels.csv"
    rows = [
        f"{name(n)},0,0.1,run,{'test' if n % 10 == 0 else 'train'}"
        for n in range(VIDEOS)
    ]
    labels.write_text("video_id,start_s,end_s,label,split\n" + "\n".join(rows) + "\n")
    return [
        *("--name", "mine", "--classes", "", "--workers", "2"),
        *("--dataset", '{"format": "table", "segments": "refuse"}'),
        *("--training", str(labels), "--testing", str(labels)),
        *("--videos", str(videos), "--out", str(tmp_path / "inventory.csv")),
        *("--data", json.dumps({"max_missing_fraction": 0.01, "exclude": []})),
    ]


def begin_and_kill(command, memory, after):
    """Start the stage, and kill it once it has learnt of so many videos."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(
        [sys.executable, "-m", "ssdet.data.inventory", *command],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while not memory.exists() or memory.read_bytes().count(b"\n") < after:
            assert running.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    return memory.read_bytes().count(b"\n")


def test_exactly_the_broken_ones_are_reported_after_a_kill(tmp_path, command, caplog):
    memory = tmp_path / "inventory.csv.resume" / "probed.jsonl"
    learnt = begin_and_kill(command, memory, after=400)
    assert not (tmp_path / "inventory.csv").exists()
    with caplog.at_level(logging.INFO):
        main(command)
    known = re.search(r"(\d+) videos were probed by an interrupted run", caplog.text)
    assert learnt <= int(known[1]) <= learnt + 1  # the last line may be torn, or late
    rows = read_inventory(tmp_path / "inventory.csv")
    assert [row.video_id for row in rows] == [name(n) for n in range(VIDEOS)]
    expected = {
        name(number): reason
        for numbers, reason in BROKEN.values()
        for number in numbers
    }
    assert len(expected) == 20
    found = {row.video_id: row.reason for row in rows if row.status != "ok"}
    assert found.keys() == expected.keys()
    for video, reason in expected.items():
        assert found[video].startswith(reason), video
    assert {row.frames for row in rows if row.status == "ok"} == {5}
    assert not memory.parent.exists()
