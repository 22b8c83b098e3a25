"""Made-up videos for SPOT's tests: features in which actions can be seen."""

from functools import cache

import torch
import yaml

from ssdet.config import SpotConfig
from ssdet.data.snippet_targets import Block, targets_of
from ssdet.models import build_spot
from ssdet.train.semi_supervised import Labelled
from tests.test_layers import PACKAGE

SNIPPETS, WIDTH, CLASSES = 20, 32, 3


def config(**changes):
    """The section `spot` of config.yaml, small; changes by dotted key with `__`."""
    text = (PACKAGE.parent / "config" / "config.yaml").read_text()
    section = yaml.safe_load(text)["spot"]
    section["network"] |= {"snippets": SNIPPETS, "channels": WIDTH, "mask_hidden": 64}
    section["features"]["width"] = WIDTH
    for path, value in changes.items():
        part, key = path.split("__")
        section[part][key] = value
    return SpotConfig.model_validate(section)


@cache
def videos(count, seed=0):
    """A batch: each video has one or two actions; its classes look different."""
    source = torch.Generator().manual_seed(seed)
    looks = torch.randn(CLASSES + 1, WIDTH, generator=torch.Generator().manual_seed(99))
    features, classes, masks = [], [], []
    for _ in range(count):
        cuts = torch.randint(1, 9, (2,), generator=source).tolist()
        lengths = torch.randint(3, 9, (2,), generator=source).tolist()
        labels = torch.randint(CLASSES, (2,), generator=source).tolist()
        blocks = [
            Block(at, min(at + length, half + 10), label)
            for half, cut, length, label in zip(
                (0, 10), cuts, lengths, labels, strict=True
            )
            if (at := half + cut) < half + 10
        ]
        targets = targets_of(blocks, CLASSES, SNIPPETS)
        noise = 0.3 * torch.randn(SNIPPETS, WIDTH, generator=source)
        features.append((looks[targets.classes] + noise).T)  # (C, T)
        classes.append(targets.classes)
        masks.append(targets.mask)
    return Labelled(torch.stack(features), torch.stack(classes), torch.stack(masks))


def network(cfg, seed=0):
    """A network of the section."""
    torch.manual_seed(seed)
    return build_spot(cfg.network, cfg.features.width, CLASSES)
