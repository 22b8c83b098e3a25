"""Reading a crop is the same as cropping what was read."""

import pytest

from ssdet.augment.cropped_frames import read_centre, read_crop
from ssdet.augment.spatial import Crop, apply_crop
from ssdet.augment.spatial import test_crop as centre_view
from ssdet.data.frame_store import FrameStore


@pytest.fixture(scope="module")
def store(tiny):
    return FrameStore(tiny.folder / "charades" / "frames")


@pytest.mark.parametrize("size", [7, 20, 32])
@pytest.mark.parametrize("flip", [False, True])
def test_a_crop(store, flip, size):
    name = store.video_ids[0]
    crop = Crop(left=3, top=5, side=20, flip=flip)
    found = read_crop(store, name, [4, 1, 4], crop, size)
    assert found.equal(apply_crop(store.read(name, [4, 1, 4]), crop, size))
    assert found.shape == (3, 3, size, size)


def test_the_centre(store):
    name = store.video_ids[-1]
    found = read_centre(store, name, [0, 2], 24)
    assert found.equal(centre_view(store.read(name, [0, 2]), 24))
