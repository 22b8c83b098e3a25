import pytest
import torch

from ssdet.models.squeeze_excite import SqueezeExcite, round_width


@pytest.mark.parametrize(
    ("width", "rounded"),
    [
        (1, 8),
        (3.375, 8),
        (8.8, 8),
        (8.9, 16),  # 8 would be below 90 %
        (13.5, 16),
        (26.6, 24),
        (27, 32),  # 24 would be below 90 %
        (34.8, 32),
        (278.4, 280),
    ],
)
def test_round_width(width, rounded):
    assert round_width(width) == rounded


def test_gate_sees_all_frames():
    gate = SqueezeExcite(2)
    with torch.no_grad():
        for parameter in gate.parameters():
            parameter.zero_()
        gate.reduce.weight[0, 0] = 1.0  # mean of channel 0 ...
        gate.expand.weight[1, 0] = 2.0  # ... opens channel 1
    x = torch.ones(1, 2, 3, 1, 1)
    x[0, 0, :, 0, 0] = torch.tensor([0.0, 0.0, 1.5])  # mean 0.5
    factors = gate(x).flatten().tolist()
    assert factors == pytest.approx([0.5, 0.7310586])  # sigmoid of 0 and of 1
