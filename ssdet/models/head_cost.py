"""Parameters and multiply-adds of a temporal head on one clip's features.

Source: spec of Coarse-Fine, section 11, for the convention.
"""

from __future__ import annotations

import torch

from ssdet.config import HeadNetwork
from ssdet.models import count_parameters
from ssdet.models.cost import FRAMES, Cost, multiply_adds
from ssdet.models.heads import build_head


def head_cost(network: HeadNetwork, width: int, classes: int) -> Cost:
    """Count a head on `FRAMES` steps, without the detector whose features they are.

    Args:
        network: its part of the config section.
        width: D of the features.
        classes: C.
    """
    with torch.device("meta"):
        model = build_head(network, width, classes)
        x, mask = torch.empty(1, width, FRAMES), torch.ones(1, FRAMES)
        count = multiply_adds(model, x, mask)[""]
    return Cost(count_parameters(model), count, count)
