import pytest
import torch

from ssdet.train.boundary_contrast import (
    Counts,
    Mined,
    boundary_contrast,
    counts_for,
    mine,
)

TEMPERATURE = 0.07


def case(batch=3, channels=8, snippets=40, seed=0):
    """Embedding, logits and mask with an action in the middle."""
    source = torch.Generator().manual_seed(seed)
    line = torch.zeros(batch, snippets)
    line[:, 12:28] = 1
    look = torch.randn(2, channels, generator=source)
    embedded = look[line.long()].transpose(1, 2)  # (B, C, T)
    embedded = embedded + 0.5 * torch.randn(embedded.shape, generator=source)
    logits = torch.stack([3 * line, -torch.ones_like(line), 3 - 3 * line], 1)
    logits = logits + 0.3 * torch.randn(logits.shape, generator=source)
    mask = line[:, :, None] * line[:, None, :] * 0.8 + 0.1
    mask = mask + 0.05 * torch.rand(mask.shape, generator=source)
    return embedded, logits, mask


def loss(embedded, logits, mask):
    snippets = embedded.shape[2]
    seen = torch.ones(len(embedded), snippets).bool()
    mined = mine(logits, mask, counts_for(snippets), seen)
    return boundary_contrast(embedded, mined, TEMPERATURE)


def test_hard_snippets_lie_at_the_boundary():
    _, logits, mask = case()
    counts = Counts(easy=4, hard=8, small=2, large=6)
    mined = mine(logits, mask, counts, torch.ones(3, 40).bool())
    for video in range(3):
        inner, outer = (
            x[video].nonzero().flatten()
            for x in (mined.hard_action, mined.hard_background)
        )
        assert len(mined.easy_action[video].nonzero()) == 4
        assert mined.easy_action[video, 12:28].sum() == 4
        assert mined.easy_background[video, 12:28].sum() == 0
        near = [min(abs(int(t) - 12), abs(int(t) - 28)) for t in (*inner, *outer)]
        if len(near):
            assert max(near) < 20


def test_channels_may_change_places():
    embedded, logits, mask = case()
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    first, second = loss(embedded, logits, mask), loss(embedded[:, order], logits, mask)
    torch.testing.assert_close(first.total, second.total)


def test_snippets_may_not():
    embedded, logits, mask = case()
    first = loss(embedded, logits, mask)
    shifted = loss(embedded.roll(6, 2), logits, mask)
    assert abs(shifted.total - first.total) > 0.1


def test_it_has_a_gradient_at_the_chosen_snippets_only():
    embedded, logits, mask = case()
    embedded.requires_grad_()
    logits.requires_grad_()
    mined = mine(logits, mask, counts_for(40), torch.ones(3, 40).bool())
    boundary_contrast(embedded, mined, TEMPERATURE).total.backward()
    moved = embedded.grad.abs().sum(1) > 0  # (B, T)
    assert torch.equal(moved & ~torch.stack(mined).any(0), torch.zeros(3, 40).bool())
    assert moved.any()
    assert logits.grad is None


def test_descending_draws_hard_action_to_easy_action():
    embedded, logits, mask = case()
    mined = mine(logits, mask, counts_for(40), torch.ones(3, 40).bool())
    x = embedded.clone().requires_grad_()
    optimizer = torch.optim.SGD([x], lr=0.5)
    before = boundary_contrast(x, mined, TEMPERATURE).total.item()
    for _ in range(50):
        optimizer.zero_grad()
        boundary_contrast(x, mined, TEMPERATURE).total.backward()
        optimizer.step()
    assert boundary_contrast(x, mined, TEMPERATURE).total.item() < 0.5 * before


def test_hidden_snippets_are_not_easy():
    _, logits, mask = case()
    seen = torch.rand(3, 40, generator=torch.Generator().manual_seed(2)) > 0.5
    mined = mine(logits, mask, counts_for(40), seen)
    assert not (mined.easy_action & ~seen).any()
    assert not (mined.easy_background & ~seen).any()


def test_a_video_without_a_ring_is_left_out():
    embedded = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))
    chosen = torch.zeros(4, 2, 6).bool()
    for place, part in enumerate(chosen):
        part[0, place] = True
    chosen[:2, 1, 0] = chosen[:2, 1, 1] = True  # the second has easy ones only
    both = boundary_contrast(embedded, Mined(*chosen), TEMPERATURE)
    alone = boundary_contrast(embedded[:1], Mined(*chosen[:, :1]), TEMPERATURE)
    torch.testing.assert_close(both.total, alone.total)


def test_no_ring_anywhere_is_no_loss():
    embedded = torch.randn(1, 4, 6, requires_grad=True)
    nothing = torch.zeros(1, 6).bool()
    some = nothing.clone()
    some[0, 0] = True
    found = boundary_contrast(embedded, Mined(some, some, nothing, nothing), 0.07)
    assert found.total.item() == 0
    found.total.backward()
    assert embedded.grad.isfinite().all()


@pytest.mark.parametrize(
    ("snippets", "expected"),
    [(100, (10, 20, 4, 8)), (256, (25, 51, 10, 20)), (8, (1, 1, 2, 4))],
)
def test_counts_grow_with_the_video(snippets, expected):
    assert counts_for(snippets) == expected
