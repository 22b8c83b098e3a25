import pytest
import torch

from ssdet.models.time_sampling import read_at


def test_between_samples_and_beyond_the_ends():
    x = torch.tensor([[[10.0, 20.0, 40.0]]])
    positions = torch.tensor([[0.0, 0.25, 1.0, 1.5, 2.0, -1.0, 9.0]])
    expected = [10.0, 12.5, 20.0, 30.0, 40.0, 10.0, 40.0]
    assert read_at(x, positions).flatten().tolist() == expected


def test_each_clip_has_its_own_positions():
    x = torch.arange(2 * 3 * 2.0).view(2, 1, 3, 2, 1)
    out = read_at(x, torch.tensor([[0.0], [2.0]]))
    assert out.flatten().tolist() == [0.0, 1.0, 10.0, 11.0]
    assert out.shape == (2, 1, 1, 2, 1)


def test_one_sample():
    assert read_at(torch.ones(1, 1, 1), torch.tensor([[0.0, 3.0]])).tolist() == [
        [[1.0, 1.0]]
    ]


def test_gradients_by_hand():
    x = torch.tensor([[[10.0, 20.0, 40.0]]], requires_grad=True)
    positions = torch.tensor([[1.25]], requires_grad=True)
    read_at(x, positions).sum().backward()
    assert positions.grad.item() == 20.0  # 40 - 20
    assert x.grad.flatten().tolist() == [0.0, 0.75, 0.25]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_type_of_the_input_is_kept(dtype):
    x = torch.tensor([[[1.0, 2.0]]], dtype=dtype)
    out = read_at(x, torch.tensor([[0.5]]))
    assert out.dtype == dtype
    assert out.item() == 1.5


def test_memory_layout_does_not_matter():
    x = torch.randn(2, 3, 5, 4, 4)
    positions = torch.tensor([[0.3, 3.9], [1.2, 2.0]])
    last = x.contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(read_at(x, positions), read_at(last, positions))


def test_what_is_no_number_stays_none():
    x = torch.tensor([[[10.0, 20.0, 40.0]]])
    out = read_at(x, torch.tensor([[1.0, torch.nan]])).flatten()
    assert out[0] == 20.0
    assert out[1].isnan()
