"""Which videos are evaluated, and which predictions are refused."""

import pytest

from ssdet.data.annotations import Dataset, Segment, VideoRecord
from ssdet.data.inventory import InventoryRow
from ssdet.data.sampling import Timeline
from ssdet.evaluate import protocol
from ssdet.evaluate.protocol import EvaluatedVideo, Lost


def inventory_row(name, status="ok", frames=240, duration_s=10.0):
    fps = frames / duration_s
    return InventoryRow(
        name, "", fps, frames, duration_s, 64, 48, 0, "h264", "", status, "why"
    )


def dataset(*records):
    return Dataset("home", ("a", "b"), tuple(records), {})


def test_videos_are_split_by_the_inventory():
    record = VideoRecord("v", 9.5, (Segment(1.0, 2.0, "a"),), "testing")
    gone = VideoRecord("w", None, (), "testing")
    training = VideoRecord("t", 1.0, (), "training")
    rows = [inventory_row("v"), inventory_row("w", "corrupt"), inventory_row("t")]
    videos, lost = protocol.evaluated_videos(
        dataset(record, gone, training), rows, None
    )
    assert videos == [EvaluatedVideo("v", record.segments, Timeline(240, 9.5, 1))]
    assert lost == [Lost("w", "corrupt", "why", (), None)]
    (resampled,), _ = protocol.evaluated_videos(dataset(record, gone), rows, 12.0)
    assert resampled.timeline == Timeline(120, 9.5, 1)


def test_duration_of_the_inventory_where_the_labels_state_none():
    record = VideoRecord("v", None, (), "testing")
    (found,), _ = protocol.evaluated_videos(dataset(record), [inventory_row("v")], None)
    assert found.timeline.duration_s == 10.0 and found.timeline.fps == 24.0


@pytest.mark.parametrize(
    ("frames", "duration_s", "fps", "expected"),
    [
        (240, 10.0, None, 240),
        (240, 10.0, 24.0, 240),
        (300, 10.02, 24.0, 240),
        (1, 0.01, 24.0, 1),
        (7, 0.5, None, 7),
    ],
)
def test_resampled_frames(frames, duration_s, fps, expected):
    row = inventory_row("v", frames=frames, duration_s=duration_s)
    assert protocol.resampled_frames(row, fps) == expected


def test_the_inventory_must_know_every_test_video():
    records = [VideoRecord(name, 1.0, (), "testing") for name in "vwx"]
    with pytest.raises(
        ValueError, match=r"lacks 2 of 3 test videos of home: v, x\. Run"
    ):
        protocol.evaluated_videos(dataset(*records), [inventory_row("w")], None)


def test_no_usable_test_video():
    record = VideoRecord("v", 1.0, (), "testing")
    rows = [inventory_row("v", "missing")]
    with pytest.raises(ValueError, match="home: no test video can be evaluated"):
        protocol.evaluated_videos(dataset(record), rows, None)


def test_predictions_must_have_exactly_the_videos():
    videos = [EvaluatedVideo(name, (), Timeline(1, 1.0, 1)) for name in "vwx"]
    protocol.refuse_other_videos("p.h5", ["x", "v", "w"], videos)
    with pytest.raises(ValueError, match=r"lacks 2 of 3 .*: v, x and has 1 .*: z"):
        protocol.refuse_other_videos("p.h5", ["w", "z"], videos)
