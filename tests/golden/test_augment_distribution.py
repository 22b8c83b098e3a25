"""What the samplers draw on average: aug_distribution.json."""

import json

import numpy as np
import pytest
import torch

from ssdet.augment.freeze import draw_freeze, frozen_order
from ssdet.augment.pairs import draw_pair, intervals, overlay
from ssdet.config import FreezeConfig

CLIPS = 50_000
RULES = {"mixup_with_cover": True, "window_without_cover": False}


def check(samples, expected, name):
    """The mean of samples (N,) lies within 4 standard errors."""
    samples = np.asarray(samples, dtype=np.float64)
    error = samples.std() / np.sqrt(len(samples))
    assert abs(samples.mean() - expected) <= 4 * error + 1e-9, name


def check_share(hits, expected, name):
    """A share of N clips lies within 4 standard errors of its probability."""
    error = np.sqrt(expected * (1 - expected) / len(hits))
    assert abs(np.mean(np.asarray(hits)) - expected) <= 4 * error + 1e-9, name


@pytest.mark.golden("aug_distribution.json")
def test_intervals(golden_file):
    for content in json.loads(golden_file.read_text()).values():
        for rule, covering in RULES.items():
            frames = content[rule]["T"]
            draw = draw_pair(CLIPS, frames, torch.Generator().manual_seed(0))
            start, end = intervals(draw.start, draw.length, frames, covering)
            pair = overlay(draw, frames, covering, symmetric=False)
            found = {
                "nested": ((start[0] < start[1]) != (end[0] < end[1])).double(),
                "overlap": pair.visible.all(0).sum(1),
                "len1": end[0] - start[0],
                "empty": (~pair.visible.any(0)).sum(1),
                "w1": pair.weights[0].double().sum(1),
                "w2": pair.weights[1].double().sum(1),
            }
            expected = content[rule]["expected"]
            assert expected.keys() == found.keys()
            for key, value in expected.items():
                check(found[key], value, f"{rule} {frames} {key}")
            for overlap, probability in content[rule]["overlap_pmf"].items():
                hits = found["overlap"] == int(overlap)
                check_share(hits, probability, f"{rule} {frames} overlap {overlap}")


@pytest.mark.golden("aug_distribution.json")
def test_freeze(golden_file):
    config = FreezeConfig(min_length=1, max_fraction=0.5, segments=1)
    for frames, content in json.loads(golden_file.read_text()).items():
        generator = torch.Generator().manual_seed(0)
        draw = draw_freeze(CLIPS, int(frames), config, generator)
        check(draw.length[:, 0], content["freeze_expected_length"], f"length {frames}")
        _, background = frozen_order(draw.start, draw.length, int(frames))
        expected = content["freeze_background_probability_per_frame"]
        for t, probability in enumerate(expected):
            check_share(background[:, t], probability, f"{frames} frames, frame {t}")
