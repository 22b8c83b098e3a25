import math

import pytest
import torch

from ssdet.models.pdan import DilatedAttention
from tests.models import heads


def scalar_attention(dilation):
    """One channel; q = k = v = x, offsets 10, 20, 30."""
    attention = DilatedAttention(1, dilation).double()
    with torch.no_grad():
        for part in (attention.query, attention.key, attention.value):
            part.weight.fill_(1.0)
        attention.offset.copy_(torch.tensor([[10.0, 20.0, 30.0]]))
    return attention


@pytest.mark.parametrize("dilation", [1, 2, 5])
def test_attention_by_hand(dilation):
    x = [1.0, -2.0, 0.5, 3.0]
    found = scalar_attention(dilation)(torch.tensor([[x]]).double())
    for t, value in enumerate(found.flatten().tolist()):
        places = (t - dilation, t, t + dilation)
        taps = [x[s] if 0 <= s < len(x) else 0.0 for s in places]
        weights = [math.exp(x[t] * tap) for tap in taps]
        values = [tap + offset for tap, offset in zip(taps, (10, 20, 30), strict=True)]
        expected = sum(w * v for w, v in zip(weights, values, strict=True))
        assert value == pytest.approx(expected / sum(weights))


def test_reach():
    """Five blocks see 1 + 2 + 4 + 8 + 16 steps to each side."""
    torch.manual_seed(0)
    model = heads.pdan(2, 1, channels=4).double().eval()
    x = torch.randn(1, 2, 101, dtype=torch.float64, requires_grad=True)
    model(x, torch.ones(1, 101))[0, 0, 50].backward()
    reached = x.grad.abs().sum((0, 1)).nonzero().flatten()
    assert (reached[0], reached[-1]) == (50 - 31, 50 + 31)


def test_logits_are_zero_after_the_video():
    model = heads.pdan(2, 3, channels=4, stages=2).eval()
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    first, last = model.all_stages(torch.randn(1, 2, 3), mask)
    for logits in (first, last):
        assert logits[..., 2].abs().max() == 0
        assert logits[..., :2].abs().min() > 0
