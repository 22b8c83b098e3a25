import pytest
import torch
from torch import nn

from ssdet.models.sub_batch_norm import (
    SubBatchNorm3d,
    aggregate_all,
    set_splits,
    split_free_state,
)


def batch(clips=4, channels=3):
    return torch.randn(
        clips, channels, 2, 3, 3, generator=torch.Generator().manual_seed(clips)
    )


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_one_split_is_plain_batch_norm(layout):
    ours, theirs = SubBatchNorm3d(3), nn.BatchNorm3d(3)
    x = batch().contiguous(memory_format=layout)
    for _ in range(2):
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    assert set(ours.state_dict()) == set(theirs.state_dict()) - {"num_batches_tracked"}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_clips_are_dealt_by_stride(layout):
    x = batch().contiguous(memory_format=layout).requires_grad_()
    split = SubBatchNorm3d(3, splits=2)
    out = split(x)
    for group in (0, 1):
        alone = SubBatchNorm3d(3)
        torch.testing.assert_close(out[group::2], alone(x[group::2]))
        mean = split.split_mean.view(2, 3)[group]
        torch.testing.assert_close(mean, alone.running_mean)
    assert out.is_contiguous(memory_format=layout)


def test_both_layouts_have_the_same_gradients():
    gradients = []
    for layout in (torch.contiguous_format, torch.channels_last_3d):
        norm = SubBatchNorm3d(3, splits=2).double()
        nn.init.constant_(norm.weight, 2.0)
        x = batch().double().contiguous(memory_format=layout).requires_grad_()
        (norm(x) ** 3).sum().backward()
        gradients.append((x.grad, norm.weight.grad, norm.bias.grad))
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second)


def test_leaving_training_gathers_the_statistics():
    norm = SubBatchNorm3d(1, splits=2)
    norm.split_mean.copy_(torch.tensor([1.0, 3.0]))
    norm.split_var.copy_(torch.tensor([2.0, 4.0]))
    norm.eval()
    assert norm.running_mean.tolist() == [2.0]
    assert norm.running_var.tolist() == [4.0]  # mean of 2 and 4, plus spread 1


def test_loaded_statistics_survive_gathering_before_the_first_step():
    state = SubBatchNorm3d(2).state_dict()
    state["running_mean"] = torch.tensor([5.0, 6.0])
    norm = SubBatchNorm3d(2, splits=2)
    norm.load_state_dict(state)
    assert norm.split_mean.tolist() == [5.0, 6.0, 5.0, 6.0]
    norm.aggregate()
    assert norm.running_mean.tolist() == [5.0, 6.0]
    assert norm.running_var.tolist() == [1.0, 1.0]


def test_state_without_splits_fits_any_number_of_them():
    model = nn.Sequential(SubBatchNorm3d(3, splits=2))
    model(batch())
    state = split_free_state(model)
    assert set(state) == {
        "0.weight",
        "0.bias",
        "0.running_mean",
        "0.running_var",
    }
    for splits in (1, 4):
        other = nn.Sequential(SubBatchNorm3d(3, splits=splits))
        other.load_state_dict(state)
        torch.testing.assert_close(other.eval()(batch()), model.eval()(batch()))
        model.train()


def test_full_state_continues_exactly():
    model = SubBatchNorm3d(3, splits=2)
    model(batch())
    copy = SubBatchNorm3d(3, splits=2)
    copy.load_state_dict(model.state_dict())
    assert torch.equal(copy.split_var, model.split_var)


def test_set_splits_keeps_the_statistics():
    model = nn.Sequential(SubBatchNorm3d(1, splits=2))
    norm = model[0]
    norm.split_mean.copy_(torch.tensor([1.0, 3.0]))
    set_splits(model, 3)
    assert norm.split_mean.tolist() == [2.0, 2.0, 2.0]
    set_splits(model, 1)
    assert norm.split_mean is None
    aggregate_all(model)
    assert norm.running_mean.tolist() == [2.0]


def test_bad_numbers_are_named():
    with pytest.raises(ValueError, match="splits must be at least 1, got 0"):
        SubBatchNorm3d(3, splits=0)
    norm = SubBatchNorm3d(3, splits=2)
    with pytest.raises(ValueError, match="3 clips cannot be dealt into 2 groups"):
        norm(batch(3))
    norm.eval()(batch(3))  # evaluation takes any batch
