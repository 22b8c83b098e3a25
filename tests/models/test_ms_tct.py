import pytest
import torch

from ssdet.models.ms_tct_encoder import GlobalBlock
from tests.models import heads


def small(width=6, classes=3):
    torch.manual_seed(0)
    return heads.ms_tct(
        width, classes, widths=(8, 12, 16), blocks=1, heads=4, ratio=2, mixed=10
    ).double()


@pytest.mark.parametrize("steps", [1, 2, 7, 32])
def test_rates_halve_and_all_steps_have_logits(steps):
    model = small().eval()
    x = torch.randn(2, 6, steps).double()
    scales = model.encoder(x)
    assert [s.shape[1] for s in scales] == [8, 12, 16]
    half = -(-steps // 2)
    assert [s.shape[2] for s in scales] == [steps, half, -(-half // 2)]
    found = model(x, torch.ones(2, steps))
    assert found.logits.shape == found.heat_map.shape == (2, 3, steps)


def test_attention_is_softmax_of_scaled_products():
    block = GlobalBlock(8, 2).double()
    x = torch.randn(1, 5, 8).double()
    q, (k, v) = block.query(x), block.key_value(x).chunk(2, 2)
    outs = []
    for part in (slice(0, 4), slice(4, 8)):
        scores = q[..., part] @ k[..., part].transpose(1, 2) / 4**0.5
        outs.append(scores.softmax(2) @ v[..., part])
    torch.testing.assert_close(block(x), block.project(torch.cat(outs, 2)))


def test_the_coarsest_scale_is_added_to_the_finer_ones():
    model = small()
    scales = model.encoder(torch.randn(1, 6, 8).double())
    mixed, plain = model.mixer(scales)
    torch.testing.assert_close(mixed[:, :10], plain[:, :10])
    for i, align in enumerate(model.mixer.align[:2], 1):
        own = slice(10 * i, 10 * (i + 1))
        torch.testing.assert_close(mixed[:, own], align(plain[:, :10]) + plain[:, own])


def test_the_filling_of_a_window_is_nothing():
    """What lies behind a video's end does not count; that there is a filling does."""
    model = small().eval()
    x, mask = torch.randn(1, 6, 8).double(), torch.tensor([[1.0] * 5 + [0.0] * 3])
    other = x.clone()
    other[..., 5:] = 7
    torch.testing.assert_close(model(x, mask).logits, model(other, mask).logits)
    alone = model(x[..., :5], mask[:, :5]).logits
    assert (model(x, mask).logits[..., :5] - alone).abs().max() > 1e-3


def test_every_weight_that_counts_is_trained():
    model = small()
    found = model(torch.randn(2, 6, 16).double(), torch.ones(2, 16))
    (found.logits.square().sum() + found.heat_map.square().sum()).backward()
    for name, parameter in model.named_parameters():
        if name.startswith("mixer.align.2"):
            assert not parameter.requires_grad
        else:
            assert parameter.grad is not None, name


def test_initial_weights_of_the_encoder():
    model = heads.ms_tct(16, 3, widths=(64, 64), blocks=1, heads=4, ratio=2, mixed=8)
    block = model.encoder.stages[0].blocks[0]
    assert block.attention.query.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert block.local.neighbours.weight.std().item() == pytest.approx(
        (2 / 3) ** 0.5, rel=0.15
    )
    merge = model.encoder.stages[1].merge.weight
    assert merge.std().item() == pytest.approx((2 / 192) ** 0.5, rel=0.05)
    assert block.local.widen.bias.abs().max() == 0


def test_uneven_heads_are_refused():
    with pytest.raises(ValueError, match="6 channels cannot be shared by 4 heads"):
        GlobalBlock(6, 4)
