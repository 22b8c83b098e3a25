import math

import pytest
import torch

from ssdet.augment.random_foreground import crop, span_mask
from ssdet.randomness import generator
from ssdet.train.pretext_loss import blocks_of, draw_pretext, order_loss, pretext_loss
from ssdet.train.spot_losses import dice_score, mask_loss
from tests.train.spot_sets import SNIPPETS, config, network, videos

HELD = 64


def draws(cfg, count, seed):
    return draw_pretext(
        count, SNIPPETS, cfg.network.order_blocks, 0.5, generator(seed, "draws")
    )


def trained(cfg, steps):
    """A network after a short pretraining on made-up videos."""
    model = network(cfg).train()
    model.class_branch.requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(steps):
        x = videos(32, seed=step % 8).features
        drawn = draws(cfg, len(x), step)
        loss = pretext_loss(model, x, drawn, cfg.pretrain, cfg.losses, generator(step))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    return model.eval()


def test_cut_out_stretches_are_found_in_videos_not_trained_on():
    cfg = config(pretrain__reconstruction=0.0, pretrain__order=0.0)
    model, x = trained(cfg, 400), videos(HELD, seed=1000).features
    drawn = draws(cfg, HELD, 10**6)
    with torch.no_grad():
        masks = model(crop(x, drawn.spans)).mask
    target = _target(drawn)
    constant = min(
        mask_loss(torch.full_like(target, p), target, entropy_share=0.4).item()
        for p in torch.linspace(0.02, 0.98, 49).tolist()
    )
    assert mask_loss(masks, target, entropy_share=0.4).item() < 0.75 * constant
    assert dice_score(masks, target).mean().item() >= 0.9


def test_order_and_restoration_are_learnt():
    cfg = config(pretrain__mask=0.0)
    model, x = trained(cfg, 120), videos(HELD, seed=1000).features
    with torch.no_grad():
        found = pretext_loss(
            model, x, draws(cfg, HELD, 7), cfg.pretrain, cfg.losses, generator(0)
        )
    assert found.order.item() < math.log(cfg.network.order_blocks) - 0.02
    mean = x.mean((0, 2), keepdim=True)
    assert found.reconstruction.item() < (x - mean).square().mean().item()


def test_the_masks_of_whole_videos_cannot_be_learnt():
    """What the published program asks: it never shows the crop to the network."""
    cfg = config()
    x, drawn = videos(HELD, seed=1000).features, draws(cfg, HELD, 10**6)
    model = network(cfg).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(150):
        batch = videos(32, seed=step % 8).features
        target = _target(draws(cfg, 32, step))
        loss = mask_loss(model(batch).mask, target, entropy_share=0.4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        scores = dice_score(model.eval()(x).mask, _target(drawn))
    assert scores.mean().item() < 0.7


def test_the_class_branch_has_no_part():
    cfg = config()
    model = network(cfg)
    x = videos(4).features
    loss = pretext_loss(
        model, x, draws(cfg, 4, 0), cfg.pretrain, cfg.losses, generator(0)
    )
    loss.total.backward()
    without = [n for n, p in model.named_parameters() if p.grad is None]
    assert without == ["class_branch.weight", "class_branch.bias"]


def test_features_are_not_changed():
    cfg = config(pretrain__normalise=True)
    x = videos(4).features
    before = x.clone()
    pretext_loss(
        network(cfg), x, draws(cfg, 4, 0), cfg.pretrain, cfg.losses, generator(0)
    )
    assert torch.equal(x, before)


def test_total_is_weighted():
    cfg = config(pretrain__mask=0.5, pretrain__reconstruction=2.0, pretrain__order=0.0)
    x = videos(4).features
    found = pretext_loss(
        network(cfg), x, draws(cfg, 4, 0), cfg.pretrain, cfg.losses, generator(0)
    )
    expected = 0.5 * found.mask + 2 * found.reconstruction
    torch.testing.assert_close(found.total, expected)


def test_reference_halves():
    cfg = config(network__compat="reference", network__positions=False)
    model = network(cfg).eval()
    assert blocks_of(model, 5) == 2
    with torch.no_grad():
        model.order_head.halves.weight.zero_()
        model.order_head.halves.bias.copy_(torch.tensor([2.0, 0.0]))  # always: swapped
    x = videos(2).features
    found = order_loss(model, x, torch.tensor([[1, 0], [0, 1]]))
    expected = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))) / 2
    assert found.item() == pytest.approx(expected)


def test_one_or_two_spans():
    drawn = draw_pretext(2000, 50, 5, 0.25, generator(0))
    empty = (drawn.spans[:, 1] == 0).all(1)
    assert empty.double().mean().item() == pytest.approx(0.75, abs=0.03)
    assert (drawn.spans[:, 0, 1] > drawn.spans[:, 0, 0]).all()


def _cropped(x, drawn):
    return crop(x, drawn.spans)


def _target(drawn):
    return span_mask(drawn.spans, SNIPPETS, merge=True)
