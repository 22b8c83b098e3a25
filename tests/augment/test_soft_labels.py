"""Labels over time as sources with weights."""

import pytest
import torch

from ssdet.augment.loss import augmented_loss
from ssdet.augment.soft_labels import hard_labels, label_rows, stacked_labels
from tests.augment.recipes import noise

SHOWN = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 1, 1]])  # (T, K)


def test_rows_by_hand():
    labels, weights = label_rows(SHOWN, background=True)
    assert labels.tolist() == [[1, 0, 2, 2], [3, 0, 0, 3]]
    assert weights.tolist() == [[0.5, 1, 1, 0.5], [0.5, 0, 0, 0.5]]


def test_without_a_background_frames_that_show_nothing_have_no_label():
    labels, weights = label_rows(SHOWN, background=False)
    assert labels.tolist() == [[0, 0, 1, 1], [2, 0, 0, 2]]
    assert weights.tolist() == [[0.5, 0, 1, 0.5], [0.5, 0, 0, 0.5]]
    soft = stacked_labels(labels[None], weights[None])
    assert soft.visible[:, 0].tolist() == [[True, False, True, True]] * 2


def test_nothing_shown_at_all():
    labels, weights = label_rows(torch.zeros(2, 3), background=True)
    assert (labels.tolist(), weights.tolist()) == ([[0, 0]], [[1, 1]])
    assert label_rows(torch.zeros(2, 3), background=False)[1].tolist() == [[0, 0]]


def test_one_class_all_the_time_is_the_replicated_label():
    rows = [label_rows(torch.eye(3)[[k] * 4], background=True) for k in (2, 0)]
    soft = stacked_labels(
        torch.stack([row[0] for row in rows]), torch.stack([row[1] for row in rows])
    )
    hard = hard_labels(torch.tensor([3, 1]), 4)
    assert torch.equal(soft.labels, hard.labels)
    assert torch.equal(soft.weights, hard.weights)
    assert torch.equal(soft.visible, hard.visible)


@pytest.mark.parametrize("normalisation", ["visible", "mean"])
def test_the_loss_is_the_mean_over_frames_of_the_mean_over_their_classes(normalisation):
    labels, weights = label_rows(SHOWN, background=True)
    logits = noise(1, 4, 4)
    entropy = -torch.log_softmax(logits[0], 0)  # (K, T)
    shown = [(1, 3), (0,), (2,), (2, 3)]
    expected = sum(entropy[list(k), t].mean() for t, k in enumerate(shown)) / 4
    soft = stacked_labels(labels[None], weights[None])
    found = augmented_loss(logits, soft, normalisation)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
