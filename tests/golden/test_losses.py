"""The detection loss against the authors' programs."""

import json

import numpy as np
import pytest
import torch

from ssdet.train.losses import detection_loss, resize_in_index
from tests.golden.rules import split_cases


@pytest.mark.golden("losses.npz")
def test_coarse_fine_losses(golden_file):
    for name, case in split_cases(golden_file).items():
        logits, labels, mask = (
            torch.from_numpy(case[key]) for key in ("logits", "labels", "mask")
        )
        for align_corners in (False, True):
            prefix = f"ac{int(align_corners)}/"
            rows = resize_in_index(logits, labels.shape[2], align_corners)
            total, cls, loc = detection_loss(rows, labels, mask)
            found = {"frame_logits": rows, "cls": cls, "loc": loc, "total": total}
            for key, value in found.items():
                np.testing.assert_allclose(
                    value,
                    case[prefix + key],
                    rtol=1e-4,
                    atol=1e-5,
                    err_msg=f"{name}/{prefix}{key}",
                )


@pytest.mark.golden("charades_loss.npz")
def test_charades_losses(golden_file):
    listed = json.loads(golden_file.with_suffix(".json").read_text())
    arrays = split_cases(golden_file, ".")
    assert {case["case"] for case in listed} == set(arrays)
    for case in listed:
        tensors = {k: torch.from_numpy(v) for k, v in arrays[case["case"]].items()}
        labels, mask = tensors["labels"].double(), tensors["mask"].double()
        for how, expected in case["losses"].items():
            rows = resize_in_index(
                tensors["logits"], case["TL"], align_corners=how == "align_corners"
            )
            np.testing.assert_allclose(
                rows, tensors[f"upsampled_{how}"], rtol=0, atol=1e-8
            )
            for suffix, rows_that_count in (
                ("", torch.ones_like(mask)),
                ("_masked", mask),
            ):
                found = detection_loss(rows, labels, rows_that_count)
                for key, value in zip(("total", "cls", "loc"), found, strict=True):
                    assert value.item() == pytest.approx(
                        expected[key + suffix], rel=0, abs=1e-8
                    ), (case["case"], how, key + suffix)
