import pytest
import torch

from ssdet.augment.loss import augmented_loss, soft_accuracy
from ssdet.augment.soft_labels import SoftLabels, hard_labels
from tests.augment.recipes import noise


def two_sources():
    """One clip of two frames; the second source is seen in the second frame only."""
    return SoftLabels(
        torch.tensor([[[0, 0]], [[1, 1]]]),
        torch.tensor([[[1.0, 0.25]], [[0.0, 0.75]]]),
        torch.tensor([[[True, True]], [[False, True]]]),
    )


def test_hard_labels_give_cross_entropy():
    logits, labels = noise(3, 5, 4), torch.tensor([4, 0, 2])
    expected = torch.nn.functional.cross_entropy(logits, labels[:, None].expand(3, 4))
    for normalisation in ("visible", "mean"):
        found = augmented_loss(logits, hard_labels(labels, 4), normalisation)
        assert found.item() == pytest.approx(expected.item())


def test_normalisations():
    logits = torch.zeros(1, 4, 2)  # every cross-entropy is ln 4
    unit = torch.tensor(4.0).log().item()
    visible = augmented_loss(logits, two_sources(), "visible")
    assert visible.item() == pytest.approx((1.25 / 2 + 0.75 / 1) * unit)
    mean = augmented_loss(logits, two_sources(), "mean")
    assert mean.item() == pytest.approx((1.25 + 0.75) / 2 * unit)


def test_nothing_visible_gives_no_loss():
    labels = SoftLabels(
        torch.zeros(1, 2, 3, dtype=torch.long),
        torch.zeros(1, 2, 3),
        torch.zeros(1, 2, 3, dtype=torch.bool),
    )
    assert augmented_loss(noise(2, 4, 3), labels, "visible").item() == 0


def test_half_precision_logits_are_summed_in_full():
    logits = noise(3, 50, 4)
    labels = hard_labels(torch.tensor([4, 0, 2]), 4)
    found = augmented_loss(logits.bfloat16(), labels, "mean")
    assert found.dtype == torch.float32
    full = augmented_loss(logits.bfloat16().float(), labels, "mean")
    assert found.item() == full.item()


def test_gradients_reach_every_frame_with_weight():
    logits = noise(1, 4, 2).requires_grad_()
    augmented_loss(logits, two_sources(), "visible").backward()
    assert (logits.grad.abs().sum(1) > 0).all()


def test_accuracy_is_the_weight_of_the_winner():
    logits = torch.tensor([[[2.0, 0.0], [1.0, 3.0]]])  # class 0, then class 1
    assert soft_accuracy(logits, two_sources()).item() == pytest.approx(1.75 / 2)


@pytest.mark.parametrize(
    "function", [lambda *x: augmented_loss(*x, "mean"), soft_accuracy]
)
def test_labels_of_other_frames_are_refused(function):
    with pytest.raises(ValueError, match=r"B=1, T=3 like logits, got \(2, 1, 2\)"):
        function(torch.zeros(1, 4, 3), two_sources())
