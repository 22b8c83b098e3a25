"""Configurations and batches of the augmentation tests."""

import torch

from ssdet.config import AugmentConfig

RECIPE = {
    "background": "class",
    "normalisation": "visible",
    "freeze": {"min_length": 2, "max_fraction": 0.5, "segments": 1},
    "mixup": {"covering": True, "shift": False, "symmetric": False},
    "cutmix": {"kind": "either", "covering": True},
    "joint": {"probability": 0.5, "per": "batch"},
}


def augment_config(**changes):
    """The recipe with some values changed, such as cutmix={"kind": "view"}."""
    values = {
        key: {**value, **changes.get(key, {})}
        if isinstance(value, dict)
        else changes.get(key, value)
        for key, value in RECIPE.items()
    }
    return AugmentConfig.model_validate(values)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape):
    return torch.randn(shape, generator=seeded(7))
