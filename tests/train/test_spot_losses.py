import math

import pytest
import torch

from ssdet.train.spot_losses import (
    class_loss,
    dice_loss,
    dice_score,
    mask_loss,
    reconstruction_loss,
)

LOGITS = torch.log(torch.tensor([[[0.5, 0.9], [0.5, 0.1]]]))  # (1, 2, 2)


def test_focal_factor_of_each_snippet():
    expected = (0.5**2 * math.log(2) - 0.9**2 * math.log(0.1)) / 2
    found = class_loss(LOGITS, torch.tensor([[0, 1]]))
    assert found.item() == pytest.approx(expected)


def test_focal_factor_of_the_mean():
    mean = (math.log(2) - math.log(0.1)) / 2
    found = class_loss(LOGITS, torch.tensor([[0, 1]]), focal="batch")
    assert found.item() == pytest.approx((1 - math.exp(-mean)) ** 2 * mean)


def test_snippets_that_do_not_count():
    kept = torch.tensor([[True, False]])
    found = class_loss(LOGITS, torch.tensor([[0, 1]]), kept)
    assert found.item() == pytest.approx(0.5**2 * math.log(2))
    nothing = class_loss(LOGITS, torch.tensor([[0, 1]]), torch.zeros(1, 2).bool())
    assert nothing.item() == 0


def test_a_perfect_mask_has_half_of_the_dice_loss():
    target = torch.zeros(1, 30, 30)
    target[:, :20, :20] = 1
    assert dice_loss(target, target, None).item() == pytest.approx(0.5, abs=1e-3)
    assert dice_score(target, target).tolist() == [1.0]


def test_cells_that_do_not_count_change_nothing():
    torch.manual_seed(0)
    mask, target = torch.rand(2, 6, 6), (torch.rand(2, 6, 6) > 0.5).float()
    kept = torch.rand(2, 6, 6) > 0.4
    other = torch.where(kept, mask, torch.rand(2, 6, 6))
    flipped = torch.where(kept, target, 1 - target)
    first = mask_loss(mask, target, kept, entropy_share=0.4)
    second = mask_loss(other, flipped, kept, entropy_share=0.4)
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_empty_and_full_masks_have_finite_losses_and_gradients(value):
    target = torch.full((1, 4, 4), value)
    mask = torch.full((1, 4, 4), 1 - value, requires_grad=True)
    mask_loss(mask, target, entropy_share=0.4).backward()
    assert mask.grad.isfinite().all()


def test_rare_action_weighs_about_as_much_as_all_background():
    mask = torch.full((1, 50, 50), 0.5, requires_grad=True)
    target = torch.zeros(1, 50, 50)
    target[:, :10, :10] = 1  # 4 % of the cells
    mask_loss(mask, target, entropy_share=1.0).backward()
    up, down = mask.grad[target == 1].sum(), mask.grad[target == 0].sum()
    assert (up / down).item() == pytest.approx(-1, abs=0.1)


def test_dice_score_by_hand():
    mask = torch.zeros(2, 2, 2)
    mask[0] = torch.tensor([[0.9, 0.4], [0.9, 0.1]])
    target = torch.zeros(2, 2, 2)
    target[0, 0] = 1
    assert dice_score(mask, target).tolist() == [0.5, 1.0]


def test_reconstruction():
    found = reconstruction_loss(torch.tensor([[[1.0, 2.0]]]), torch.zeros(1, 1, 2))
    assert found.item() == 2.5
