"""Temporal structure filters: learned windows over a whole sequence.

Source: Piergiovanni and Ryoo, CVPR 2018 (arXiv:1712.01938), "Learning Latent
Super-Events"; their released code, which differs from the text in the width's constant;
spec of the heads, section 2.1.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ssdet.models.precision import full, no_autocast
from ssdet.models.step_mask import Padding

Kernel = Literal["cauchy", "gaussian"]


class StructureFilters(nn.Module):
    """N windows; each has its centre within the sequence, and a width in steps.

    `delta` is the stride of an earlier form and influences nothing; published weights
    have it.
    """

    def __init__(self, count: int, kernel: Kernel) -> None:
        """Build.

        Args:
            count: N.
            kernel: `cauchy`, as the released code; `gaussian`, as the text of the TGM
                paper (of width sqrt(exp(gamma)) steps).

        Raises:
            ValueError: another kernel.
        """
        super().__init__()
        if kernel not in ("cauchy", "gaussian"):
            raise ValueError(f"kernel must be 'cauchy' or 'gaussian', got {kernel!r}")
        self.kernel = kernel
        self.center = nn.Parameter(0.5 * torch.randn(count))
        self.delta = nn.Parameter(0.01 * torch.randn(count), requires_grad=False)
        self.gamma = nn.Parameter(1e-4 * torch.randn(count))

    def forward(self, lengths: Tensor, steps: int, padding: Padding) -> Tensor:
        """Weights over the steps of some sequences.

        Args:
            lengths: (B,), real steps of each, at least 1.
            steps: T.
            padding: `fixed` normalises over the real steps and is 0 after them;
                `reference` normalises over all T.

        Returns:
            (B, N, T), each row's sum is (nearly) 1; float32 or better.
        """
        with no_autocast(self.center):
            center, gamma = full(self.center), full(self.gamma)
            lengths = lengths.to(center)[:, None, None]  # (B, 1, 1)
            t = torch.arange(steps, dtype=center.dtype, device=center.device)
            middle = (lengths - 1) * (torch.tanh(center)[:, None] + 1) / 2  # (B, N, 1)
            distance = t - middle  # (B, N, T)
            if self.kernel == "gaussian":
                scores = -(distance**2) / (2 * torch.exp(gamma))[:, None]
                if padding == "fixed":
                    scores = scores.masked_fill(t >= lengths, -torch.inf)
                return scores.softmax(2)
            width = torch.exp(1.5 - 2 * torch.tanh(gamma).abs())[:, None]
            raw = 1 / (math.pi * width * (1 + (distance / width) ** 2))
            if padding == "fixed":
                raw = raw * (t < lengths)
            return raw / (raw.sum(2, keepdim=True) + 1e-6)
