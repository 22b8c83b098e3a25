import torch
from torch import nn

from ssdet.models.cost import fusion_at_native_size, multiply_adds


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
