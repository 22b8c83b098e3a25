import torch

from ssdet.models.order_head import BlockOrderHead, HalfOrderHead


def test_shapes():
    x = torch.randn(2, 6, 10)
    assert BlockOrderHead(6, 2, 0.1, 0.3, 10, 5)(x).shape == (2, 5, 10)
    assert HalfOrderHead(6, 10)(x).shape == (2, 2)


def test_blocks_are_told_by_position():
    head = BlockOrderHead(6, 2, 0.1, 0.3, 10, 5).eval()
    same = torch.ones(1, 6, 10)  # all snippets alike
    assert head(same).std(dim=2).min() > 1e-3
