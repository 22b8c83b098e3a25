"""The teacher: a moving average of the student, that labels what has no labels.

Source: Wang et al., SSTAP, CVPR 2021; spec of SPOT, section 9.3.
"""

from __future__ import annotations

import copy

import torch
from torch import nn


def build_teacher(student: nn.Module) -> nn.Module:
    """A copy of the student, in evaluation mode and never trained."""
    return copy.deepcopy(student).requires_grad_(False).eval()


def decay_at(step: int, highest: float) -> float:
    """How much the teacher keeps of itself: 0 at step 0, then more and more.

    Args:
        step: from 0.
        highest: in [0, 1).
    """
    return min(1 - 1 / (step / 20 + 1), highest)


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, decay: float) -> None:
    """Move the teacher towards the student.

    Args:
        teacher: from `build_teacher`, changed in place.
        student: the network that is trained.
        decay: see `decay_at`.
    """
    for own, other in zip(teacher.parameters(), student.parameters(), strict=True):
        own.lerp_(other, 1 - decay)
    for held, new in zip(teacher.buffers(), student.buffers(), strict=True):
        held.copy_(new)
