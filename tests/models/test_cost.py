import pytest
import torch
from torch import nn

from ssdet.config import ModelConfig
from ssdet.models.cost import (
    Cost,
    fusion_at_native_size,
    multiply_adds,
    network_costs,
)


def test_counts_by_hand():
    with torch.device("meta"):
        model = nn.Sequential(
            nn.Conv3d(3, 8, (1, 3, 3), padding=(0, 1, 1)),
            nn.Conv3d(8, 8, (5, 1, 1), padding=(2, 0, 0), groups=8),
            nn.Flatten(),
            nn.Linear(8 * 2 * 4 * 4, 10),
        ).train()
        counts = multiply_adds(model, torch.empty(1, 3, 2, 4, 4))
    places = 2 * 4 * 4
    assert counts["0"] == places * 8 * 3 * 9
    assert counts["1"] == places * 8 * 5
    assert counts["3"] == 8 * places * 10
    assert counts[""] == counts["0"] + counts["1"] + counts["3"]
    assert model.training


def test_fusion_by_hand():
    # one channel everywhere, one fine and one coarse frame, one class:
    # at each cell attention 2, shift and scale 4, mix 2 * 4 * 1
    cells = 56**2 + 28**2 + 14**2 + 7**2
    logits = 2 * 7**2 + 2 * (1 + 1)
    assert fusion_at_native_size((1, 1, 1, 1), 1, 1, 1, 1) == 14 * cells + logits


PAPER = ModelConfig(depth_factor=2.2, width_factor=2.0, head_width=2048, dropout=0.5)


def test_costs_of_the_papers_networks():
    """Source: spec of Coarse-Fine, section 11, in 10^9; parameters in sections 2 to 8.

    Ours on 7 x 7 maps is below the papers' count, which has the same fusion on larger
    ones and leaves out its sums over time.
    """
    costs = network_costs(PAPER, classes=157, crop=224, pool=7)
    published = {name: cost.as_published / 1e9 for name, cost in costs.items()}
    assert published == pytest.approx(
        {
            "backbone": 37.845,
            "head": 0.154,
            "read": 0.113,  # 432 x 2048 for each frame
            "slow": 9.500,
            "coarse": 16.540,
            "fused": 22.980,
            "slowfast": 54.310,
        },
        abs=5e-4,
    )
    assert {name: cost.parameters for name, cost in costs.items()} == {
        "backbone": 2_089_986,
        "head": 3_296_415 - 2_089_986,
        "read": 432 * 2048,
        "slow": 3_296_415,
        "coarse": 3_296_415 + 31_465,
        "fused": 4_532_327,
        "slowfast": 6_559_617,
    }
    for name, cost in costs.items():
        if name == "fused":
            assert (
                costs["coarse"].multiply_adds < cost.multiply_adds < cost.as_published
            )
        else:
            assert cost.multiply_adds == cost.as_published


def test_fusion_is_counted_by_hand():
    """On T' = 128 fine and K = 33 coarse frames of 7 x 7 cells, and for the logits.

    Of C channels, for each cell: attention C^2 + C of each fine frame, shift and scale
    4 C^2 of each coarse frame, C + 1 sums over fine frames for each coarse one.
    """
    fine, coarse, widths = 128, 33, (24, 48, 96, 192)
    depths = sum(
        (c * c + c) * fine + 4 * c * c * coarse + (c + 1) * fine * coarse
        for c in widths
    )
    mixes = sum(2 * sum(widths) * c * coarse for c in widths)
    last = (432**2 + 432) * fine + 433 * fine * coarse
    logits = 2 * (432**2 + 432 * 157) * coarse
    costs = network_costs(PAPER, classes=157, crop=224, pool=7)
    alone = costs["coarse"].multiply_adds
    by_hand = 49 * (depths + mixes + last) + logits
    assert costs["fused"].multiply_adds - alone == by_hand
    published = fusion_at_native_size(widths, 432, 157, fine, coarse)
    assert costs["fused"].as_published - alone == published


def test_costs_add_up_and_what_is_not_defined_stays_so():
    one, two = Cost(1, 10, 100), Cost(2, 20, 200)
    assert one + two == Cost(3, 30, 300)
    assert one + Cost(2, 20, None) == Cost(3, 30, None)
    small = network_costs(PAPER, classes=157, crop=112, pool=7)
    assert small["fused"].as_published is None
    assert small["slowfast"].as_published is not None
