"""Sampling arithmetic of Coarse-Fine: clips, lengths, width, official instants."""

import json

import pytest
import torch

from ssdet.data.frame_labels import official_instants
from ssdet.data.sampling import Timeline, window_samples
from ssdet.evaluate.instants import instant_steps
from ssdet.models.alignment import gaussian_alignment
from ssdet.models.grid_pool import GridPool

STRIDE, FINE_FRAMES = 10, 128


@pytest.mark.golden("protocol.json")
def test_protocol(golden_file):
    for case in json.loads(golden_file.read_text()):
        timeline = Timeline(case["n_frames"], case["duration"], STRIDE)
        samples = timeline.rows
        assert samples == case["T_coarse_eval"] == case["T_fine_full"]
        assert min(samples, FINE_FRAMES) == case["T_fine_used_ref"]
        assert samples * STRIDE == case["label_len"]
        frames = window_samples(samples * STRIDE, 0, samples, STRIDE)
        shown = [frames[0] + 1, frames[1] + 1, frames[-1] + 1]
        assert shown == case["clip_frames_1based"]
        _, grid, confidence = GridPool(2)(torch.zeros(1, 2, samples, 8, 8))
        assert grid.shape[1] == case["n_coarse"]
        assert 4 * confidence.shape[1] == case["out_len"]
        assert _width(min(samples, FINE_FRAMES)) == pytest.approx(case["sigma_ref"])
        times = official_instants(case["duration"])
        assert times == pytest.approx(case["localize_official_time"], abs=1e-9)
        rows = [
            min(round(timeline.frame_of_seconds(t)), case["label_len"] - 1)
            for t in times
        ]
        assert rows == case["localize_official_index0"]
        if case["label_len"] > len(times):  # else it is row 1 every time
            shortcut = instant_steps(case["label_len"], "every_kth_from_1").tolist()
            assert shortcut == case["localize_ref_index0"]


def _width(rows):
    """The sigma by which a centre at row 0 weighs the row behind it."""
    mask = torch.ones(1, rows, dtype=torch.float64)
    centre = torch.zeros(1, 1, dtype=torch.float64)
    weight = gaussian_alignment(centre, mask, FINE_FRAMES)[0, 1, 0]
    return (-1 / (2 * torch.log(weight))).sqrt().item()
