"""Whole videos: read in stretches, and how many fine features each mode takes."""

import numpy as np
import pytest
import torch

from ssdet.augment.spatial import normalise
from ssdet.augment.spatial import test_crop as centre_view
from ssdet.data.annotations import VideoRecord
from ssdet.data.feature_store import FeatureStore, VideoFeatures, write_features
from ssdet.data.frame_store import FrameStore
from ssdet.data.sampling import Timeline
from ssdet.models import CoarseFine, EndToEnd, X3DDetector
from ssdet.models.initial import initialise
from ssdet.models.x3d import FEATURES
from ssdet.stage import StageError
from ssdet.train import whole_video
from ssdet.train.whole_video import View, predict_coarse_fine, predict_end_to_end

STRIDE, WINDOW = 4, 5
CPU = torch.device("cpu")
MEAN, STD = (0.4, 0.4, 0.4), (0.2, 0.2, 0.2)


@pytest.fixture
def video(tiny):
    """View, record and clock of a generated video."""
    store = FrameStore(tiny.folder / "charades" / "frames")
    name = store.video_ids[0]
    info = store.info(name)
    view = View(store, tiny.config.spatial, MEAN, STD, CPU)
    timeline = Timeline(info.frames, info.duration_s, STRIDE)
    assert timeline.rows > 2 * WINDOW
    return view, VideoRecord(name, info.duration_s, (), "testing"), timeline


@pytest.mark.parametrize("stretch", [1, 7, 1000])
def test_read_in_stretches(video, monkeypatch, stretch):
    view, record, timeline = video
    monkeypatch.setattr(whole_video, "FRAMES_AT_ONCE", stretch)
    found = view.read(record.video_id, timeline, timeline.rows)
    frames = [STRIDE * row for row in range(timeline.rows)]
    stored = view.store.read(record.video_id, frames)
    cropped = centre_view(stored, view.spatial.crop)[None]
    assert torch.equal(found, normalise(cropped, MEAN, STD))


def network(compat):
    torch.manual_seed(0)
    model = CoarseFine(
        depth_factor=0.5,
        width_factor=0.5,
        head_width=16,
        classes=3,
        dropout=0.0,
        fine_frames=WINDOW,
        compat=compat,
        unpool="resize",
        film_init="default",
    )
    initialise(model)
    return model.eval()


@pytest.fixture
def features(video, tmp_path):
    """Features of the video, and the folder they lie in."""
    _, record, timeline = video
    source = np.random.default_rng(0)
    rows = timeline.rows
    maps = {
        key: source.random((rows, width, 7, 7), np.float32)
        for key, width in network("fixed").trunk.backbone.feature_channels.items()
    }
    entry = VideoFeatures(record.video_id, maps, np.zeros((rows, 3)), 1, 1.0)
    path = tmp_path / "shard-000.h5"
    write_features(path, [entry], rows, {}, "float32", None, dict)
    return FeatureStore(tmp_path), maps


@pytest.mark.parametrize("compat", ["fixed", "reference"])
def test_feature_rows_of_a_long_video(video, features, compat):
    """Fixed: all. Reference: the first, as many as training sees."""
    (view, record, timeline), (store, maps) = video, features
    model = network(compat)
    logits, times = predict_coarse_fine(view, store, compat, model, record, timeline)
    taken = timeline.rows if compat == "fixed" else WINDOW
    fine = {
        key: torch.from_numpy(maps[key][:taken]).movedim(0, 1)[None] for key in FEATURES
    }
    clip = view.read(record.video_id, timeline, timeline.rows)
    with torch.no_grad():
        expected = model(clip, fine, torch.ones(1, taken), torch.zeros(1))
    torch.testing.assert_close(torch.from_numpy(logits.T)[None], expected)
    assert len(times) == len(logits) == 4 * -(-timeline.rows // 4)


def test_features_of_another_length_are_refused(video, features):
    (view, record, timeline), (store, _) = video, features
    other = Timeline(timeline.frames - STRIDE, timeline.duration_s, STRIDE)
    with pytest.raises(
        StageError, match=rf"{timeline.rows} feature rows, its frames give"
    ):
        predict_coarse_fine(view, store, "fixed", network("fixed"), record, other)


@pytest.mark.parametrize("compat", ["fixed", "reference"])
@pytest.mark.parametrize("width", [WINDOW, 1000])
def test_the_fine_stream_sees_the_middle_of_a_video(video, compat, width):
    """As many frames as its weights are made for, the coarse stream all of them."""
    view, record, timeline = video
    coarse = network(compat)
    coarse.fine_frames = width
    fine = X3DDetector(
        depth_factor=0.5,
        width_factor=0.5,
        head_width=16,
        classes=3,
        dropout=0.0,
        mode="loc",
    )
    initialise(fine)
    model = EndToEnd(coarse, fine, 2).eval()
    logits, times = predict_end_to_end(view, compat, model, record, timeline)
    first = max(0, (timeline.rows - width) // 2)
    last = min(timeline.rows, first + width)
    clip = view.read(record.video_id, timeline, timeline.rows)
    with torch.no_grad():
        maps, _ = fine.features_and_logits(clip[:, :, first:last], 2)
        ones, start = torch.ones(1, last - first), torch.tensor([-float(first)])
        expected = coarse(clip, maps, ones, start)
    torch.testing.assert_close(torch.from_numpy(logits.T)[None], expected)
    assert len(times) == len(logits) == 4 * -(-timeline.rows // 4)
    assert (first > 0) == (width == WINDOW)
