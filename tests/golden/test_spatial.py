"""Crops in space against Pillow: spatial_transforms.json and .npz."""

import json

import numpy as np
import pytest
import torch

from ssdet.augment import spatial

# the normalisation of the Kinetics frames, as the files were made with it
MEAN = [x / 255 for x in (110.63666788, 103.16065604, 96.29023126)]
STD = [x / 255 for x in (38.7568578, 37.88248729, 40.02898126)]


def cases(golden_file):
    arrays = np.load(golden_file.with_suffix(".npz"))
    for case in json.loads(golden_file.read_text()):
        name = case["case"]
        image = torch.from_numpy(arrays[f"{name}.image"])  # (H, W, 3)
        yield case, image.permute(2, 0, 1)[:, None].expand(-1, 2, -1, -1), arrays


def box(crop):
    return [crop.left, crop.top, crop.left + crop.side, crop.top + crop.side]


def assert_pixels(video, expected):
    assert video.dtype == torch.uint8
    for frame in video.unbind(1):  # (3, H, W)
        found = frame.permute(1, 2, 0).numpy().astype(int)
        assert abs(found - expected.astype(int)).max() <= 1


@pytest.mark.golden("spatial_transforms.json")
def test_train_crops(golden_file):
    for case, video, arrays in cases(golden_file):
        for row in case["train"]:
            crop = spatial.place_crop(
                case["h"],
                case["w"],
                row["scale"],
                row["tl_x"],
                row["tl_y"],
                row["flip"],
            )
            assert box(crop) == row["box"]
            found = spatial.apply_crop(video, crop, row["size"])
            assert_pixels(found, arrays[f"{case['case']}.train{row['i']}"])


@pytest.mark.golden("spatial_transforms.json")
def test_test_crop_and_normalisation(golden_file):
    for case, video, arrays in cases(golden_file):
        row = case["center"]
        assert box(spatial.centre_crop(case["h"], case["w"])) == row["box"]
        found = spatial.test_crop(video, row["size"])
        expected = arrays[f"{case['case']}.center"]
        assert_pixels(found, expected)

        pixels = torch.from_numpy(expected).permute(2, 0, 1)[:, None]  # (3, 1, H, W)
        np.testing.assert_allclose(
            spatial.normalise(pixels, MEAN, STD)[:, 0],
            arrays[f"{case['case']}.center_normalised_kinetics"],
            rtol=0,
            atol=1e-5,
        )
