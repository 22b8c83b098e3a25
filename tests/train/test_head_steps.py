import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssdet.config import HeadConfig
from ssdet.data.annotations import Segment, VideoRecord
from ssdet.data.clips import Shape, StepSampler, collate
from ssdet.models.linear_head import LinearHead
from ssdet.models.ms_tct import MsTctOutput
from ssdet.randomness import generator
from ssdet.train.head_steps import (
    HeadClips,
    head_loss,
    predict_steps,
    steps_of_batches,
    validate,
    window_starts,
)
from ssdet.train.head_videos import LabelledSteps
from tests.tiny import tiny_config

CLASSES = {"run": 0, "sit": 1}
SHAPE = Shape(batch=2, frames=0, crop=0, groups=1)
CPU = torch.device("cpu")


class Memory:
    """Features in memory: (D, F) of each video."""

    def __init__(self, **arrays):
        self.arrays = arrays

    def steps(self, video_id):
        return self.arrays[video_id].shape[1]

    def read(self, video_id, start, stop):
        return self.arrays[video_id][:, start:stop]


def videos_of(**lengths):
    """Feature 0 is the step's number; each runs in the first half of its seconds."""
    arrays = {name: torch.arange(float(n))[None] for name, n in lengths.items()}
    records = [
        VideoRecord(name, float(n), (Segment(0.5, n / 2, "run"),), "training")
        for name, n in lengths.items()
    ]
    durations = {name: float(n) for name, n in lengths.items()}
    return LabelledSteps(records, Memory(**arrays), CLASSES, durations)


def identity_head():
    """Logit of run: the feature; of sit: its negative."""
    head = LinearHead(width=1, classes=2, dropout=0.5).eval()
    with torch.no_grad():
        head.classify.weight.copy_(torch.tensor([[[1.0]], [[-1.0]]]))
        head.classify.bias.zero_()
    return head


def config(head="se", **changes) -> HeadConfig:
    return tiny_config().head.section(head, "charades").model_copy(update=changes)


def test_labels_are_strict_at_the_left_edge_of_each_step():
    videos = videos_of(v=8)
    record = videos.records[0]
    # steps 1, 2 and 3 lie strictly inside (0.5, 4)
    assert videos.labels(record)[0].tolist() == [0, 1, 1, 1, 0, 0, 0, 0]
    half = replace(videos, durations_s={"v": 4.0})
    # at twice the rate steps 2 to 7, 1.0 to 3.5 s
    assert half.labels(record)[0].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    assert half.times_s(record).tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]


def test_whole_videos_are_padded_to_the_longest():
    clips = HeadClips(videos_of(a=4, b=6), None, heat_map=False)
    batch = collate([clips.item(n, SHAPE, generator(n)) for n in (0, 1)])
    assert batch["features"][:, 0].tolist() == [[0, 1, 2, 3, 0, 0], [0, 1, 2, 3, 4, 5]]
    assert batch["mask"].tolist() == [[1, 1, 1, 1, 0, 0], [1] * 6]
    assert batch["labels"][0, 0].tolist() == [0, 1, 0, 0, 0, 0]
    assert set(batch) == {"features", "labels", "mask"}


def test_windows_are_cut_together_with_their_labels():
    clips = HeadClips(videos_of(v=20), 5, heat_map=True)
    starts = set()
    for seed in range(200):
        item = clips.item(0, SHAPE, generator(seed))
        start = int(item["features"][0, 0])
        starts.add(start)
        assert item["features"][0].tolist() == list(range(start, start + 5))
        whole = clips.videos.labels(clips.videos.records[0])
        assert (item["labels"].numpy() == whole[:, start : start + 5]).all()
        heat_map = clips.videos.heat_map(clips.videos.records[0])
        assert (item["heat_map"].numpy() == heat_map[:, start : start + 5]).all()
    assert starts == set(range(15))  # as published, the last window is not drawn


def test_a_short_video_is_filled_up_to_the_window():
    item = HeadClips(videos_of(v=3), 5, heat_map=True).item(0, SHAPE, generator(0))
    assert item["features"].tolist() == [[0, 1, 2, 0, 0]]
    assert item["mask"].tolist() == [1, 1, 1, 0, 0]
    assert item["labels"].shape == item["heat_map"].shape == (2, 5)


@given(steps=st.integers(1, 60), window=st.integers(1, 20))
def test_windows_cover_every_step_and_stay_inside(steps, window):
    starts = window_starts(steps, window)
    assert starts == sorted(set(starts))
    covered = {s for start in starts for s in range(start, start + window)}
    assert set(range(steps)) <= covered
    if steps > window:
        assert max(covered) == steps - 1


@given(steps=st.integers(1, 40), window=st.none() | st.integers(1, 12))
def test_every_step_is_predicted_once(steps, window):
    features = videos_of(v=steps).features
    logits = predict_steps(identity_head(), features, window, "v", CPU)
    assert logits[0].tolist() == list(range(steps))
    assert logits[1].tolist() == [-s for s in range(steps)]


def test_the_parts_of_a_batch_add_up_to_the_whole():
    """Videos of different lengths, dealt to two processes."""
    videos = videos_of(a=3, b=9, c=5, d=8)
    clips = HeadClips(videos, None, heat_map=False)
    sampler = StepSampler(4, lambda step: replace(SHAPE, batch=4), 0, 3, (0, "x"))
    assert steps_of_batches(videos, None, sampler) == [25] * 3
    assert steps_of_batches(videos, 8, sampler) == [24] * 3
    items = [clips.item(n, SHAPE, generator(n)) for n in range(4)]
    network, cfg = identity_head(), config(window=None)
    whole = head_loss(cfg, [25], network, collate(items), 0, (0, 1)).item()
    parts = [
        head_loss(cfg, [25], network, collate(items[rank::2]), 0, (rank, 2)).item()
        for rank in (0, 1)
    ]
    assert sum(parts) / 2 == pytest.approx(whole)


def test_validation_by_hand():
    """Rising scores, positives in the first half: the worst order."""
    cfg = config(window=None)
    values = validate(identity_head(), videos_of(v=4), cfg, CPU)
    # one positive step, 1, is ranked third of four
    assert values["map"] == pytest.approx(1 / 3)
    entropies = [math.log1p(math.exp(x)) for x in (0, 1, 2, 3)]
    entropies[1] -= 1
    sit = [math.log1p(math.exp(-x)) for x in (0, 1, 2, 3)]
    assert values["loss"] == pytest.approx((sum(entropies) + sum(sit)) / 4)
    assert validate(identity_head(), videos_of(), cfg, CPU) == {}


def test_videos_without_actions_give_a_loss_only():
    silent = videos_of(v=4)
    records = [replace(record, segments=()) for record in silent.records]
    values = validate(
        identity_head(), replace(silent, records=records), config(window=None), CPU
    )
    assert set(values) == {"loss"}


def test_the_loss_of_a_heat_map_is_added_by_its_weight():
    torch.manual_seed(0)
    item = HeadClips(videos_of(a=6), 8, heat_map=True).item(0, SHAPE, generator(0))
    batch = collate([item])
    logits, heat_map = torch.randn(2, 1, 2, 8)

    def with_weight(weight):
        cfg = config("ms_tct")
        network = cfg.network.model_copy(update={"heat_map_weight": weight})
        cfg = cfg.model_copy(update={"network": network})
        found = MsTctOutput(logits, heat_map)
        return head_loss(cfg, [6], lambda *_: found, batch, 0, (0, 1))

    none, one, two = (with_weight(w).item() for w in (0.0, 1.0, 2.0))
    assert one > none
    assert two - one == pytest.approx(one - none)
