import math

import pytest
import torch

from ssdet.train.head_losses import heat_map_loss, step_loss

LN2 = math.log(2)


def test_entropy_is_summed_over_classes_and_divided_by_steps():
    logits = torch.zeros(2, 3, 4)
    loss = step_loss(logits, torch.zeros(2, 3, 4), torch.ones(2, 4), "real")
    assert loss.item() == pytest.approx(3 * LN2)


def test_steps_after_a_video_count_only_as_published():
    logits = torch.zeros(2, 3, 4)
    mask = torch.tensor([[1.0] * 4, [1.0, 0, 0, 0]])
    losses = {
        steps: step_loss(logits, torch.zeros(2, 3, 4), mask, steps).item()
        for steps in ("real", "all")
    }
    assert losses["real"] == pytest.approx(3 * LN2)
    assert losses["all"] == pytest.approx(8 / 5 * 3 * LN2)


def test_steps_after_a_video_have_no_gradient():
    logits = torch.randn(1, 2, 3, requires_grad=True)
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    step_loss(logits, torch.zeros(1, 2, 3), mask, "real").backward()
    assert logits.grad[..., 2].tolist() == [[0, 0]]
    assert logits.grad[..., :2].min() > 0


def test_large_logits_stay_finite():
    logits = torch.tensor([[[1e4, -1e4]]])
    loss = step_loss(logits, 1 - (logits > 0).float(), torch.ones(1, 2), "real")
    assert loss.item() == pytest.approx(1e4)


def test_heat_map_by_hand():
    """p = 1/2 everywhere: a hit costs ln(2) / 4, a miss that times (1 - H)^4."""
    target = torch.tensor([[[1.0, 0.5, 0.0]]])
    expected = LN2 / 4 * (1 + 0.5**4 + 1)
    loss = heat_map_loss(torch.zeros(1, 1, 3), target, "own")
    assert loss.item() == pytest.approx(expected)


def test_a_heat_map_without_centres_is_not_divided():
    loss = heat_map_loss(torch.zeros(1, 1, 3), torch.zeros(1, 1, 3), "own")
    assert loss.item() == pytest.approx(3 * LN2 / 4)


def test_only_as_published_a_video_depends_on_others():
    logits = torch.randn(2, 1, 3)
    target = torch.tensor([[[1.0, 0.5, 0.0]], [[0.0, 0.0, 1.0]]])
    alone = [heat_map_loss(logits[i : i + 1], target[i : i + 1], "own") for i in (0, 1)]
    own = heat_map_loss(logits, target, "own")
    torch.testing.assert_close(own, torch.stack(alone).mean())
    assert heat_map_loss(logits, target, "all").item() != pytest.approx(own.item())


def test_wrong_input_is_refused():
    x, mask = torch.zeros(1, 2, 3), torch.ones(1, 3)
    with pytest.raises(ValueError, match=r"labels must be \(1, 2, 3\) like logits"):
        step_loss(x, x[:, :1], mask, "real")
    with pytest.raises(ValueError, match="'real' or 'all', got 'some'"):
        step_loss(x, x, mask, "some")
    with pytest.raises(ValueError, match=r"target must be \(1, 2, 3\) like logits"):
        heat_map_loss(x, x[:, :1], "own")
    with pytest.raises(ValueError, match="'own' or 'all', got 'both'"):
        heat_map_loss(x, x, "both")
