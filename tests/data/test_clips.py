import pytest
import torch

from ssdet.data.clips import (
    Clips,
    Shape,
    StepSampler,
    collate,
    copied_ahead,
    load_batches,
    load_in_order,
    steps_per_epoch,
)

CPU = torch.device("cpu")


def constant(batch):
    """Every step has the same shape."""
    return lambda step: Shape(batch, frames=2, crop=4, groups=1)


def draw(number, shape, source):
    return {"draw": torch.randint(10**6, (2,), generator=source)}


def test_an_epoch_shows_every_video_once():
    sampler = StepSampler(6, constant(2), 0, 6, ("seed", "stage"))
    numbers = [key[2] for batch in sampler for key in batch]
    assert sorted(numbers[:6]) == sorted(numbers[6:]) == list(range(6))
    assert numbers[:6] != numbers[6:]


def test_steps_per_epoch_leave_out_an_incomplete_batch():
    assert steps_per_epoch(videos=7909, batch=16) == 494
    assert steps_per_epoch(videos=3, batch=16) == 1
    assert steps_per_epoch(videos=5, batch=4, per_epoch=2) == 2


def test_fewer_videos_than_a_batch_are_shown_again():
    batch = next(iter(StepSampler(3, constant(8), 0, 1, ("s",))))
    numbers = [key[2] for key in batch]
    assert len(numbers) == 8
    assert set(numbers) == {0, 1, 2}


def test_a_resumed_order_goes_on_where_it_stopped():
    whole = list(StepSampler(5, constant(2), 0, 9, ("s",)))
    assert list(StepSampler(5, constant(2), 4, 9, ("s",))) == whole[4:]


def test_processes_share_the_batch_by_stride():
    whole = list(StepSampler(8, constant(4), 0, 3, ("s",)))
    shares = [
        list(StepSampler(8, constant(4), 0, 3, ("s",), rank=r, world=2)) for r in (0, 1)
    ]
    for step, batch in enumerate(whole):
        assert batch[0::2] == shares[0][step]
        assert batch[1::2] == shares[1][step]


def test_no_video_is_named():
    with pytest.raises(ValueError, match="no video to train on"):
        StepSampler(0, constant(2), 0, 1, ("s",))


def test_batches_of_changing_size_take_up_where_the_last_one_ended():
    """Two epochs of 8 clips: sizes 4, 2, 1, 1, then 4, 2, 1, 1 again."""
    sizes = [4, 2, 1, 1] * 2

    def shape(step):
        return Shape(sizes[step], frames=2, crop=sizes[step], groups=1)

    whole = list(StepSampler(8, shape, 0, 8, ("s",)))
    assert [len(batch) for batch in whole] == sizes
    assert {key[3].crop for key in whole[4]} == {4}
    for epoch in (whole[:4], whole[4:]):
        assert sorted(key[2] for batch in epoch for key in batch) == list(range(8))
    assert list(StepSampler(8, shape, 3, 8, ("s",))) == whole[3:]


@pytest.mark.parametrize("workers", [0, 2])
def test_things_in_order(workers):
    batches = load_in_order(lambda n: {"n": torch.tensor(n)}, 5, 2, workers)
    assert [batch["n"].tolist() for batch in batches] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_do_not_depend_on_the_workers(workers):
    sampler = StepSampler(4, constant(2), 0, 4, ("s",))
    batches = load_batches(Clips(draw, ("s",)), sampler, workers, CPU)
    expected = load_batches(Clips(draw, ("s",)), sampler, 0, CPU)
    for batch, other in zip(batches, expected, strict=True):
        assert batch["draw"].tolist() == other["draw"].tolist()


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_keep_the_order_of_axes_in_memory(workers):
    whole = torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).view(2, 3, 4, 5)

    def make(number):
        images = whole[number].permute(1, 2, 0).contiguous()  # (4, 5, 3) in memory
        return {"video": images.permute(2, 0, 1), "class": torch.tensor(number)}

    (batch,) = load_in_order(make, 2, 2, workers)
    assert batch["video"].equal(whole)
    assert batch["video"].stride() == (60, 1, 15, 3)
    assert batch["class"].tolist() == [0, 1]


def test_a_cpu_gets_the_batches_as_they_are():
    batches = [{"x": torch.ones(1)}, {"x": torch.zeros(2)}]
    found = list(copied_ahead(batches, torch.device("cpu")))
    assert [batch["x"].tolist() for batch in found] == [[1.0], [0.0, 0.0]]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_arrive_on_a_gpu_in_order():
    device = torch.device("cuda")
    batches = [{"x": torch.full((1 << 20,), float(n)).pin_memory()} for n in range(5)]
    found = [batch["x"] * 2 for batch in copied_ahead(batches, device)]
    assert [x.device.type for x in found] == ["cuda"] * 5
    assert [x.unique().tolist() for x in found] == [[2.0 * n] for n in range(5)]


def test_clips_of_unequal_length_are_padded_with_zeros():
    batch = collate([{"x": torch.ones(2, 3)}, {"x": torch.ones(2, 1)}])
    assert batch["x"].tolist() == [[[1, 1, 1], [1, 1, 1]], [[1, 0, 0], [1, 0, 0]]]
