"""Whole batches through the policy, their losses and accuracy: aug_batch.json, .npz."""

import json

import numpy as np
import pytest
import torch

from ssdet.augment import policy
from ssdet.augment.cutmix import ViewDraw
from ssdet.augment.freeze import FreezeDraw
from ssdet.augment.loss import augmented_loss, soft_accuracy
from ssdet.augment.pairs import PairDraw
from ssdet.config import AugmentConfig
from tests.golden.rules import ssdet_clip, ssdet_uniform

REFERENCE = AugmentConfig.model_validate(
    {
        "background": "class",
        "normalisation": "visible",
        "freeze": {"min_length": 1, "max_fraction": 0.5, "segments": 1},
        "mixup": {"covering": True, "shift": False, "symmetric": False},
        "cutmix": {"kind": "either", "covering": False},
        "joint": {"probability": 0.5, "per": "batch"},
    }
)


def draws_of(case):
    def tensor(key):
        return torch.tensor(case[key])

    ops = case["ops"]
    freeze = mixup = window = view = None
    if "freeze" in ops:
        freeze = FreezeDraw(
            tensor("freeze_start")[:, None], tensor("freeze_len")[:, None]
        )
    if "mixup" in ops:
        mixup = PairDraw(tensor("perm_mix"), tensor("mix_start"), tensor("mix_len"))
    if "window" in ops:
        window = PairDraw(tensor("perm_cut"), tensor("win_start"), tensor("win_len"))
    if "view" in ops:
        everywhere = torch.ones(case["clip"][0], dtype=torch.bool)
        view = ViewDraw(tensor("perm_cut"), everywhere)
    return policy.Draws(freeze, mixup, window, view)


def logits_of(case):
    batch, _, frames, _, _ = case["clip"]
    shape = (batch, case["n_classes"], frames)
    u = ssdet_uniform(200000, int(np.prod(shape)), case["seed"]).reshape(shape)
    logits = 3 * (2 * u - 1)
    for clip, label in enumerate(case["labels"]):
        logits[clip, label, ::2] += 6.0
    return torch.from_numpy(logits)


@pytest.mark.golden("aug_batch.json")
def test_batches(golden_file):
    arrays = np.load(golden_file.with_suffix(".npz"))
    for case in json.loads(golden_file.read_text()):
        video = torch.from_numpy(ssdet_clip(tuple(case["clip"]), case["seed"])).float()
        classes = torch.tensor(case["labels"]) - 1  # the policy makes room for class 0
        mixed, soft = policy.apply(video, classes, draws_of(case), REFERENCE)

        expected = {
            key: arrays[f"{case['name']}.{key}"]
            for key in ("video", "labels", "weights", "visible")
        }
        np.testing.assert_allclose(mixed, expected["video"], rtol=0, atol=1e-5)
        assert (soft.labels.numpy() == expected["labels"]).all()
        assert (soft.visible.numpy() == expected["visible"]).all()
        np.testing.assert_allclose(soft.weights, expected["weights"], rtol=0, atol=1e-6)

        logits = logits_of(case)
        found = {
            "loss_reference": augmented_loss(logits, soft, "visible"),
            "loss_mean": augmented_loss(logits, soft, "mean"),
            "soft_accuracy": soft_accuracy(logits, soft),
        }
        for key, value in found.items():
            np.testing.assert_allclose(
                value,
                arrays[f"{case['name']}.{key}"],
                rtol=0,
                atol=1e-5,
                err_msg=f"{case['name']}.{key}",
            )
