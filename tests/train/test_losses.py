import math

import pytest
import torch
from torch.nn import functional as F

from ssdet.train.losses import detection_loss, interpolate_in_time, resize_in_index


def random_case(rows=7):
    torch.manual_seed(0)
    logits = 3 * torch.randn(2, 3, rows)
    mask = torch.ones(2, rows)
    mask[1, 4:] = 0
    labels = (torch.rand(2, 3, rows) > 0.6).float() * mask[:, None]
    return logits, labels, mask


def test_by_hand():
    # even odds everywhere: entropy ln 2 in every row, and for the maximum
    logits, labels = torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)
    total, cls, loc = detection_loss(logits, labels, torch.ones(1, 3))
    assert [x.item() for x in (total, cls, loc)] == pytest.approx([math.log(2)] * 3)


def test_equals_the_form_with_masked_probabilities():
    logits, labels, mask = random_case()
    probability = torch.sigmoid(logits) * mask[:, None]
    cls = F.binary_cross_entropy(probability.amax(2), labels.amax(2))
    loc = F.binary_cross_entropy(probability, labels, reduction="sum")
    loc = loc / (3 * mask.sum())
    found = detection_loss(logits, labels, mask)
    torch.testing.assert_close(
        torch.stack(found), torch.stack(((cls + loc) / 2, cls, loc))
    )


def test_padding_changes_nothing():
    logits, labels, mask = random_case()
    padded = [F.pad(x, (0, 5), value=v) for x, v in ((logits, 9.0), (labels, 1.0))]
    before = detection_loss(logits, labels, mask)
    after = detection_loss(*padded, F.pad(mask, (0, 5)))
    torch.testing.assert_close(torch.stack(after), torch.stack(before))


def test_no_gradient_reaches_padding():
    logits, labels, mask = random_case()
    logits.requires_grad_()
    detection_loss(logits, labels, mask)[0].backward()
    assert logits.grad[1, :, 4:].abs().max() == 0
    assert logits.grad[1, :, :4].abs().min() > 0


def test_a_clip_without_valid_rows_counts_as_nothing_found():
    logits, labels, mask = random_case()
    mask[1] = 0
    total, cls, loc = detection_loss(logits, labels * mask[:, None], mask)
    alone = detection_loss(logits[:1], labels[:1], mask[:1])
    assert cls.item() == pytest.approx(alone[1].item() / 2)
    assert loc.item() == pytest.approx(alone[2].item())
    assert total.isfinite()


def test_large_logits_stay_finite():
    logits = torch.tensor([[[500.0, -500.0]]], requires_grad=True)
    labels = torch.tensor([[[0.0, 1.0]]])
    total, _, loc = detection_loss(logits, labels, torch.ones(1, 2))
    total.backward()
    assert loc.item() == 500.0
    assert logits.grad.isfinite().all()


def test_half_precision_is_worked_out_in_full():
    logits, labels, mask = random_case()
    found = detection_loss(logits.bfloat16(), labels, mask)
    exact = detection_loss(logits.bfloat16().float(), labels, mask)
    assert torch.equal(torch.stack(found), torch.stack(exact))


def test_shapes_that_do_not_fit():
    logits, labels, mask = random_case()
    with pytest.raises(ValueError, match=r"labels must be \(2, 3, 7\) like logits"):
        detection_loss(logits, labels[:, :2], mask)
    with pytest.raises(ValueError, match=r"mask \(2, 7\), got .* and \(2, 6\)"):
        detection_loss(logits, labels, mask[:, :6])


def test_resize_by_index():
    logits = torch.tensor([[[0.0, 10.0]]])
    corners = resize_in_index(logits, 5, align_corners=True).flatten().tolist()
    assert corners == [0.0, 2.5, 5.0, 7.5, 10.0]
    halves = resize_in_index(logits, 4, align_corners=False).flatten().tolist()
    assert halves == [0.0, 2.5, 7.5, 10.0]


def test_interpolation_in_time():
    logits = torch.tensor([[[0.0, 10.0, 30.0]]])
    own = torch.tensor([1.0, 2.0, 4.0])
    times = torch.tensor([0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 9.0])
    found = interpolate_in_time(logits, own, times).flatten().tolist()
    assert found == [0.0, 0.0, 5.0, 10.0, 20.0, 30.0, 30.0]


def test_interpolation_with_times_of_each_clip():
    logits = torch.tensor([[[0.0, 10.0]], [[0.0, 10.0]]])
    own = torch.tensor([[0.0, 1.0], [0.0, 2.0]])
    found = interpolate_in_time(logits, own, torch.tensor([0.5]))
    assert found.flatten().tolist() == [5.0, 2.5]
    found = interpolate_in_time(logits, own, torch.tensor([[0.5], [1.0]]))
    assert found.flatten().tolist() == [5.0, 5.0]


def test_interpolation_of_one_sample_and_of_late_times():
    one = interpolate_in_time(torch.tensor([[[7.0]]]), torch.zeros(1), torch.zeros(3))
    assert one.tolist() == [[[7.0, 7.0, 7.0]]]
    # seconds far into a video keep their fractions
    own = 100000 + torch.arange(3, dtype=torch.float64) / 24
    found = interpolate_in_time(
        torch.tensor([[[0.0, 1.0, 0.0]]]), own, own[:1] + 1 / 48
    )
    assert found.item() == pytest.approx(0.5, abs=1e-4)


def test_interpolation_refuses_other_lengths():
    with pytest.raises(ValueError, match=r"sample_times must be \(3,\) or \(1, 3\)"):
        interpolate_in_time(torch.zeros(1, 1, 3), torch.zeros(4), torch.zeros(1))
