"""Random clips from many shards, in many processes: right, and without growing."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from ssdet.data.frame_shard import PackedVideo, write_frames
from ssdet.data.frame_store import FrameStore

ROOT = Path(__file__).resolve().parents[2]
SHARDS, VIDEOS, FRAMES = 40, 2, 40  # videos in a shard, frames in a video
CLIP, STRIDE = 16, 2
OPEN_FILES = 16  # that a process keeps, of any number of shards


def grey(video, frame):
    """Grey level of a frame: neighbours in time, and videos, differ by 6 and more."""
    return 6 * ((7 * video + frame) % 40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty shards of two videos of forty frames."""
    folder = tmp_path_factory.mktemp("many")
    jpegs = []
    for level in range(0, 240, 6):
        data = io.BytesIO()
        Image.fromarray(np.full((16, 24, 3), level, np.uint8)).save(data, "JPEG")
        jpegs.append(data.getvalue())
    for shard in range(SHARDS):
        packed = []
        for video in range(VIDEOS * shard, VIDEOS * (shard + 1)):
            frames = [jpegs[grey(video, f) // 6] for f in range(FRAMES)]
            part = folder / f"v{video:03d}.part"
            part.write_bytes(b"".join(frames))
            lengths = np.array([len(frame) for frame in frames])
            places = lengths.cumsum() - lengths, lengths
            seconds = FRAMES / 10
            packed.append(PackedVideo(part.stem, part, *places, 10.0, seconds, 16, 24))
        path = folder / "frames" / f"shard-{shard:03d}.h5"
        write_frames(path, packed, {"dataset": "mine", "shard": shard}, dict)
    return folder / "frames"


class RandomClips(Dataset):
    """Clip n: a random beginning in a random video."""

    def __init__(self, store, count):
        self.store, self.count = store, count

    def __len__(self):
        return self.count

    def __getitem__(self, n):
        source = torch.Generator().manual_seed(n)
        video = int(torch.randint(SHARDS * VIDEOS, (), generator=source))
        last = FRAMES - (CLIP - 1) * STRIDE
        begin = int(torch.randint(last, (), generator=source))
        frames = range(begin, begin + CLIP * STRIDE, STRIDE)
        clip = self.store.read(f"v{video:03d}", frames)
        expected = torch.tensor([grey(video, frame) for frame in frames])
        return clip, expected


@pytest.mark.filterwarnings("ignore:This DataLoader will create 8 worker")
@pytest.mark.parametrize(
    ("start", "workers"),
    [("fork", 8), pytest.param("spawn", 2, marks=pytest.mark.slow)],
)
def test_many_workers_read_the_right_frames(folder, start, workers):
    store = FrameStore(folder)
    for shard in range(SHARDS):  # files that the workers must not share
        store.read(f"v{VIDEOS * shard:03d}", [0])
    clips = RandomClips(store, 320)
    loader = DataLoader(
        clips, batch_size=4, num_workers=workers, multiprocessing_context=start
    )
    seen = 0
    for batch, expected in loader:
        assert batch.shape[1:] == (3, CLIP, 16, 24)
        found = batch.double().mean(dim=(1, 3, 4))
        assert (found - expected).abs().max() < 2.5
        seen += len(batch)
    assert seen == len(clips)
    clip, expected = clips[0]  # and the parent's own files still work
    assert (clip.double().mean(dim=(0, 2, 3)) - expected).abs().max() < 2.5


PROGRAM = """
import gc, json, os, resource, sys
import torch
from ssdet.data.frame_store import FrameStore

torch.set_num_threads(1)
store = FrameStore(sys.argv[1])
videos = store.video_ids

def use():
    gc.collect()
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    files = os.listdir("/proc/self/fd")
    return pages * resource.getpagesize() / 2**20, len(files)

begin = use()
uses = []
for turn in range(6):
    for video in videos:
        store.read(video, range(turn, turn + 28, 2))
    uses.append(use())
print(json.dumps([begin, *uses]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_reading_on_and_on_takes_no_more_memory_or_files(folder):
    """A process by itself: 6 times all 40 shards, 80 videos."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    (_, files_before), *uses = json.loads(done.stdout)
    files = [count for _, count in uses]
    assert max(files) <= files_before + OPEN_FILES
    assert len(set(files)) == 1
    memory = [mebibytes for mebibytes, _ in uses]
    # 320 reads, 160 files opened since; what is kept of each of them would show.
    assert memory[-1] - memory[1] < 3
