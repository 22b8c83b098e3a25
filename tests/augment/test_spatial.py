import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet.augment import spatial
from ssdet.augment.spatial import Crop
from tests.augment.recipes import seeded


def pixels(frames, height, width):
    shape = (3, frames, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=seeded())


def test_a_crop_of_the_asked_size_copies_pixels():
    video = pixels(2, 9, 12)
    found = spatial.apply_crop(video, Crop(left=3, top=1, side=8, flip=False), 8)
    assert found.equal(video[:, :, 1:9, 3:11])


def test_the_memory_layout_stays():
    planes = pixels(2, 9, 12)
    images = planes.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)
    for crop in (Crop(3, 1, 8, True), Crop(3, 1, 6, False)):
        found = spatial.apply_crop(images, crop, 8)
        assert found.equal(spatial.apply_crop(planes, crop, 8))
        assert found.permute(1, 2, 3, 0).is_contiguous()


def test_flip_mirrors_columns():
    video = pixels(1, 4, 4)
    found = spatial.apply_crop(video, Crop(0, 0, 4, True), 4)
    assert found.equal(video.flip(3))


def test_resize_averages_when_it_shrinks():
    video = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    video[..., :2] = 160
    found = spatial.apply_crop(video, Crop(0, 0, 4, False), 2)
    # each new pixel weighs columns by a triangle as wide as two new pixels: 3:3:1:0
    assert found[0, 0].tolist() == [[137, 23], [137, 23]]


@pytest.mark.parametrize(
    ("height", "width", "corner"),
    [(4, 9, (2, 0)), (4, 7, (2, 0)), (4, 5, (0, 0)), (9, 4, (0, 2)), (5, 5, (0, 0))],
)
def test_centre_rounds_half_to_even(height, width, corner):
    crop = spatial.centre_crop(height, width)
    assert (crop.left, crop.top) == corner
    assert crop.side == min(height, width)
    assert not crop.flip


def test_test_crop_is_the_centre():
    video = pixels(2, 6, 10)
    assert spatial.test_crop(video, 6).equal(video[..., 2:8])


@pytest.mark.parametrize(
    ("short", "crop", "resized", "side"),
    [(320, 224, 320, 224), (256, 224, 320, 179), (450, 312, 450, 312), (1, 1, 2, 1)],
)
def test_side_of_a_training_crop(short, crop, resized, side):
    found = spatial.place_crop(short, 2 * short, crop / resized, 0.0, 0.0, False)
    assert found.side == side


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    height=st.integers(1, 400),
    width=st.integers(1, 400),
)
def test_draws_lie_inside_the_frame(seed, height, width):
    crop = spatial.draw_crop(height, width, 224, (256, 320), 0.5, seeded(seed))
    assert crop.side in {max(1, min(height, width) * 224 // r) for r in (256, 320)}
    assert 0 <= crop.left <= width - crop.side
    assert 0 <= crop.top <= height - crop.side


def test_draws_vary_as_they_should():
    generator = seeded()
    crops = [spatial.draw_crop(90, 120, 7, (8, 9), 0.25, generator) for _ in range(800)]
    large = sum(crop.side == 78 for crop in crops)
    assert abs(large - 400) <= 57  # 4 standard errors
    assert abs(sum(crop.flip for crop in crops) - 200) <= 49
    assert {crop.top for crop in crops if crop.side == 78} == set(range(12))
    assert not any(
        spatial.draw_crop(90, 120, 7, (8, 9), 0.0, generator).flip for _ in range(50)
    )


def test_normalise():
    video = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    mean, std = (0.5, 0.2, 0.0), (0.25, 0.1, 0.5)
    found = spatial.normalise(video, mean, std)
    assert found.dtype == torch.float32
    assert found.flatten().tolist() == pytest.approx([-2, 0, 2], abs=1e-6)
    batch = spatial.normalise(video[None].repeat(2, 1, 1, 1, 1), mean, std)
    assert batch[1].equal(found)
    assert video.flatten().tolist() == [0, 51, 255]
