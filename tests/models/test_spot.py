import pytest
import torch

from ssdet.models.spot import Spot

SIZES = {
    "classes": 3,
    "snippets": 10,
    "heads": 2,
    "mask_hidden": 7,
    "dropout_attention": 0.1,
    "dropout_out": 0.3,
    "order_blocks": 5,
}


def network(inputs=6, channels=6, compat="fixed", positions=False):
    return Spot(
        inputs=inputs, channels=channels, compat=compat, positions=positions, **SIZES
    )


@pytest.mark.parametrize("compat", ["fixed", "reference"])
def test_shapes(compat):
    out = network(compat=compat)(torch.randn(2, 6, 10))
    assert [tuple(x.shape) for x in out] == [(2, 6, 10), (2, 4, 10), (2, 10, 10)]


def test_the_branches_do_not_see_each_other():
    model = network()
    model(torch.randn(2, 6, 10)).logits.sum().backward()
    assert all(p.grad is None for p in model.mask_branch.parameters())
    model.zero_grad()
    model(torch.randn(2, 6, 10)).mask.sum().backward()
    assert all(p.grad is None for p in model.class_branch.parameters())


def test_other_features_are_brought_to_the_width_of_the_embedding():
    model, x = network(inputs=9), torch.randn(2, 9, 10)
    assert model.project(x).shape == (2, 6, 10)
    assert model(x).embedded.shape == (2, 6, 10)
    same = network()
    assert same.project(x[:, :6]) is not None
    torch.testing.assert_close(same.project(x[:, :6]), x[:, :6])


def test_fixed_has_no_part_that_nothing_reads():
    model = network(positions=True)
    model.train()
    x = torch.randn(2, 6, 10)
    out = model(x)
    (out.logits.sum() + out.mask.sum() + model.order(x).square().sum()).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("shape", [(2, 5, 10), (2, 6, 11), (6, 10)])
def test_features_that_do_not_fit(shape):
    with pytest.raises(ValueError, match=r"features must be \(B, 6, 10\), are"):
        network()(torch.zeros(shape))


def test_reference_with_other_features():
    with pytest.raises(ValueError, match="no projection: channels"):
        network(inputs=9, compat="reference")


def test_positions_tell_snippets_apart():
    x = torch.ones(1, 6, 10)
    assert network().eval()(x).embedded.std(2).max() < 1e-5
    assert network(positions=True).eval()(x).embedded.std(2).min() > 1e-2
    with pytest.raises(ValueError, match="no positions"):
        network(compat="reference", positions=True)


def test_unknown_compat():
    with pytest.raises(ValueError, match="compat must be fixed or reference"):
        network(compat="paper")
