"""Frames stored as short-GOP video, in a real run of the workflow."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from ssdet.data.frame_store import FrameStore
from ssdet.data.predictions import Predictions
from ssdet.data.scaler import Scaler
from ssdet.data.video import Video
from ssdet.evaluate import predict
from ssdet.train import pretrain
from tests.test_workflow import RESULTS, changed, snakemake

TARGET = f"{RESULTS}/charades/predictions/fine_cls.h5"
SHORT = {
    "frames": {"storage": "video", "shard_videos": 64},
    "fine": {"epochs": 1},
}

pytestmark = pytest.mark.skipif(
    shutil.which("snakemake", path=str(Path(sys.executable).parent)) is None,
    reason="the workflow needs Snakemake: pip install ssdet[workflow]",
)


@pytest.mark.slow
def test_from_extraction_to_predictions(tiny, tmp_path, monkeypatch):
    """The packets are all that there is, they look like the videos, and are read.

    Videos, inventory and pretraining are there already.
    """
    folder = tmp_path / RESULTS
    shutil.copytree(tiny.folder / "synthetic", folder / "synthetic")
    ignored = shutil.ignore_patterns("frames")
    shutil.copytree(tiny.folder / "charades", folder / "charades", ignore=ignored)
    pretrain.main(tiny.pretrain(folder / "pretrain/cls/checkpoint.pt", "cls"))
    config = changed(tmp_path, **SHORT)
    status, said = snakemake(tmp_path, TARGET, "--cores=1", config=config)
    assert status == 0, said
    (path,) = (folder / "charades/frames").glob("*.h5")
    with h5py.File(path) as shard:
        assert (shard.attrs["storage"], shard.attrs["gop"]) == (b"video", 8)
        assert "packets" in shard
        assert "jpeg" not in shard
        assert len(shard["index"]) == 6
    lengths_s = compare(
        folder / "charades/frames", folder / "synthetic/charades/videos"
    )
    predictions = Predictions(tmp_path / TARGET)
    assert len(predictions.video_ids) == 2
    for video_id in predictions.video_ids:
        logits, times_s = predictions[video_id]
        assert np.isfinite(logits).all()
        assert times_s[-1] == pytest.approx(lengths_s[video_id], abs=0.1)

    with h5py.File(path, "a") as shard:
        shard["packets"][:] = 0
    (command,) = re.findall(r"-m ssdet\.evaluate\.predict (.*) 2> ", said)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="its bytes are not those that were written"):
        predict.main(shlex.split(command))


def compare(frames, videos):
    """See that stored videos look like their files; seconds of each."""
    store, lengths_s = FrameStore(frames), {}
    for video_id in store.video_ids:
        shown = source(videos, video_id)
        read = store.read(video_id, range(len(shown))).permute(1, 2, 3, 0).numpy()
        assert np.abs(read.mean(-1) - shown.mean(-1)).mean() < 4  # grey
        lengths_s[video_id] = store.info(video_id).duration_s
    return lengths_s


def source(folder, video_id):
    """The frames of a video file, as they are shown."""
    with Video(folder / f"{video_id}.mp4") as video:
        frames = [shown.frame for shown in video.frames()]
        scale = Scaler(frames[0].height, frames[0].width, 0)
        return np.stack([np.asarray(scale(frame), int) for frame in frames])
