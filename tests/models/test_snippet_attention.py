import pytest
import torch

from ssdet.models.snippet_attention import SnippetAttention


def test_without_positions_the_order_of_snippets_does_not_matter():
    block = SnippetAttention(6, 2, 0.1, 0.3).eval()
    x, order = torch.randn(2, 5, 6), torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(block(x[:, order]), block(x)[:, order])


def test_with_positions_it_does():
    block = SnippetAttention(6, 2, 0.1, 0.3, positions=8).eval()
    x, order = torch.randn(2, 5, 6), torch.tensor([3, 0, 4, 1, 2])
    assert not torch.allclose(block(x[:, order]), block(x)[:, order], atol=1e-3)


def test_each_head_has_the_full_width():
    shapes = {
        n: tuple(p.shape) for n, p in SnippetAttention(6, 4, 0, 0).named_parameters()
    }
    assert shapes["queries.weight"] == shapes["values.weight"] == (24, 6)
    assert shapes["out.weight"] == (6, 24)


def test_even_attention_adds_the_mean_of_the_values():
    block = SnippetAttention(4, 1, 0.1, 0.3).eval()
    with torch.no_grad():
        block.queries.weight.zero_()  # all scores equal
        block.values.weight.copy_(torch.eye(4))
        block.out.weight.copy_(torch.eye(4))
        block.out.bias.zero_()
    x = torch.randn(1, 3, 4)
    expected = torch.nn.functional.layer_norm(x + x.mean(1, keepdim=True), (4,))
    torch.testing.assert_close(block(x), expected)


def test_more_snippets_than_positions():
    block = SnippetAttention(6, 2, 0.1, 0.3, positions=8)
    with pytest.raises(ValueError, match="9 snippets, but positions for 8 only"):
        block(torch.zeros(1, 9, 6))
