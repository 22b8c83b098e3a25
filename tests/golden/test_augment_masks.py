"""Columns that each clip of a CutMix owns: aug_cutmix_masks.json and .npz.

A clip of ones beside a clip of zeros comes out as the mask of the first.
"""

import json

import numpy as np
import pytest
import torch

from ssdet.augment.cutmix import ViewDraw, transient_view, transient_window
from ssdet.augment.pairs import PairDraw, overlay
from ssdet.augment.soft_labels import hard_labels

PARTNER = torch.tensor([1, 0])


def cases(golden_file, kind):
    arrays = np.load(golden_file.with_suffix(".npz"))
    for case in json.loads(golden_file.read_text()):
        name = case["case"]
        if name.startswith(kind):
            found = {
                key.removeprefix(f"{name}_"): arrays[key]
                for key in arrays.files
                if key.startswith(f"{name}_")
            }
            yield case, found


def content(rows, which):
    """Two clips (2, 1, T, 1, W): one has `rows` (T, W), the other zeros."""
    clips = torch.zeros(2, 1, *rows.shape)
    clips[which, 0] = rows
    return clips[:, :, :, None]


def borders_are_whole(draw, case):
    """Frames in which a border falls between two columns, where rounding decides."""
    pair = overlay(draw, case["T"], covering=False, symmetric=False)
    return ((case["W"] * pair.parts % pair.whole == 0) & pair.visible.all(0)).any(0)


@pytest.mark.golden("aug_cutmix_masks.json")
def test_windows(golden_file):
    for case, expected in cases(golden_file, "window"):
        frames, width = case["T"], case["W"]
        start = torch.tensor([[case["start1"]] * 2, [case["start2"]] * 2])
        length = torch.tensor([[case["len1"]] * 2, [case["len2"]] * 2])
        draw = PairDraw(PARTNER, start, length)
        labels = hard_labels(torch.tensor([1, 2]), frames)
        loose = borders_are_whole(draw, case)[0].numpy()  # one column may flip
        for which in (0, 1):
            video = content(torch.ones(frames, width), which)
            mixed, soft = transient_window(
                video, labels, draw, covering=False, symmetric=False
            )
            mask = mixed[0, 0, :, 0].numpy()  # (T, W)
            reference = expected[f"mask{which + 1}"]
            np.testing.assert_allclose(
                mask[~loose], reference[~loose], rtol=0, atol=1e-5, err_msg=case["case"]
            )
            weight = soft.weights[which, 0].numpy()
            tolerance = np.where(loose, 1 / width + 1e-6, 1e-6)
            assert (abs(mask.mean(1) - reference.mean(1)) <= tolerance).all()
            assert (abs(weight - expected["weight"][which]) <= tolerance).all()
            seen = soft.visible[which, 0].int()
            assert seen.tolist() == expected["visible"][which].tolist()


@pytest.mark.golden("aug_cutmix_masks.json")
def test_views(golden_file):
    for case, expected in cases(golden_file, "view"):
        frames, width = case["T"], case["W"]
        draw = ViewDraw(PARTNER, torch.ones(2, dtype=torch.bool))
        labels = hard_labels(torch.tensor([1, 2]), frames)
        columns = torch.arange(1.0, width + 1).expand(frames, width)
        for which in (0, 1):
            mask = expected[f"mask{which + 1}"]
            mixed, soft = transient_view(
                content(torch.ones(frames, width), which), labels, draw
            )
            found = mixed[0, 0, :, 0]  # (T, W)
            np.testing.assert_allclose(
                found, np.broadcast_to(mask, found.shape), rtol=0, atol=1e-5
            )
            np.testing.assert_allclose(
                soft.weights[which, 0], expected["weight"][which], rtol=0, atol=1e-6
            )
            assert soft.visible.all()

            mixed, _ = transient_view(content(columns, which), labels, draw)
            source = mixed[0, 0, :, 0] / torch.from_numpy(mask).clamp(min=1e-3) - 1
            source = np.where(mask > 0, source.round(), -1)
            assert (source == expected[f"src{which + 1}"]).all(), case["case"]
