"""Targets and losses of the temporal heads against the authors' programs."""

import json

import numpy as np
import pytest
import torch

from ssdet.data.annotations import Segment
from ssdet.train.head_losses import heat_map_loss, step_loss
from ssdet.train.heat_map import centres, heat_map_target
from tests.golden.head_rules import heads_tensor

FILE = "targets_and_losses.json"


def listed(golden_file, key):
    return json.loads(golden_file.read_text())[key]


@pytest.mark.golden(FILE)
def test_heat_map_targets(golden_file):
    for case in listed(golden_file, "heatmap_targets"):
        segments = [Segment(start, end, str(c)) for c, start, end in case["actions"]]
        classes = {str(c): c for c in range(case["classes"])}
        video = (segments, classes, case["num_feat"], case["duration"])
        found = [list(centre) for centre in centres(*video, case["gamma"])]
        assert found == case["centres_class_index_length_radius"]
        expected = np.zeros((case["classes"], case["num_feat"]))
        for step, c, value in case["nonzero_time_class_value"]:
            expected[c, step] = value
        target = heat_map_target(*video, case["gamma"], case["tau"])
        np.testing.assert_allclose(target, expected, rtol=0, atol=1e-7)
        assert (target == 1).sum() == case["exact_ones"]
        assert np.array_equal(target > 0, expected > 0)


@pytest.mark.golden(FILE)
def test_losses(golden_file):
    for case in listed(golden_file, "losses"):
        seed, shape = case["seed"], (case["B"], case["T"], case["C"])
        real = torch.arange(case["T"]) < torch.tensor(case["lengths"])[:, None]

        def drawn(k, shape=shape, seed=seed):
            return heads_tensor(seed, k, shape)

        def own(x, real=real):
            return (x * real[:, :, None]).transpose(1, 2)

        logits, mask = 3 * drawn(1).transpose(1, 2), real.double()
        labels = own((drawn(2) < -0.4).double())
        target = drawn(3).clamp(0, 1) ** 2
        target = own(target.masked_fill(drawn(4) < -0.9, 1))
        heat_map = 3 * drawn(5, (case["B"], case["C"], case["T"]))
        everywhere = step_loss(logits, labels, mask, "all")
        broadcast = heat_map_loss(heat_map, target, "all")
        found = {
            "bce_sum_all_over_valid": everywhere,
            "bce_sum_valid_only_over_valid": step_loss(logits, labels, mask, "real"),
            "bce_logits_zeroed_in_padding": step_loss(
                logits * mask[:, None], labels, mask, "all"
            ),
            "focal_public_broadcast": broadcast,
            "focal_paired_per_video": heat_map_loss(heat_map, target, "own"),
            "mstct_total_public": everywhere + 0.05 * broadcast,
        }
        assert set(case["expected"]) <= set(found)
        for name, value in case["expected"].items():
            assert found[name].item() == pytest.approx(value, rel=0, abs=1e-9), name
