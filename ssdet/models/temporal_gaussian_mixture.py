"""Temporal Gaussian Mixture layers: smoothing kernels made of a few shared windows.

Source: Piergiovanni and Ryoo, ICML 2019 (arXiv:1803.06316); spec of the heads,
sections 2.3 and 2.4.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssdet.models.step_mask import Padding, real_steps
from ssdet.models.structure_filter import Kernel, StructureFilters
from ssdet.models.super_events import SuperEventTerm


class TemporalGaussianMixture(nn.Module):
    """A convolution along time whose kernels are mixtures of M windows.

    It is shared by all rows of the features. From one channel it is linear; from
    several, each output is a learned sum over them, rectified.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        gaussians: int,
        length: int,
        kernel: Kernel = "cauchy",
    ) -> None:
        """Build.

        Args:
            inputs: channels that come.
            outputs: channels that go.
            gaussians: M; 16.
            length: steps of a kernel; 5, or 30.
            kernel: shape of the windows; see `StructureFilters`.
        """
        super().__init__()
        self.inputs, self.outputs, self.length = inputs, outputs, length
        self.windows = StructureFilters(gaussians, kernel)
        # The released code never initialises the attention.
        self.attention = nn.Parameter(torch.empty(outputs * inputs, gaussians))
        nn.init.xavier_normal_(self.attention)
        self.mix = nn.Linear(inputs, outputs) if inputs > 1 else None

    def basis(self) -> Tensor:
        """The windows (M, L)."""
        whole = torch.full((1,), self.length, device=self.attention.device)
        windows: Tensor = self.windows(whole, self.length, "fixed")
        return windows[0]

    def kernels(self) -> Tensor:
        """(outputs * inputs, L), outputs first: not negative, of sum nearly 1."""
        return self.attention.softmax(1) @ self.basis()

    def forward(self, x: Tensor) -> Tensor:
        """Filter (B, inputs, D, T) -> (B, outputs, D, T).

        (B, D, T) is taken as one channel, repeated for each input. Outside the sequence
        there are zeros; a kernel of even length reaches one step further ahead.
        """
        if x.ndim == 3:
            x = x[:, None].expand(-1, self.inputs, -1, -1)
        batch, _, rows, _ = x.shape
        weight = self.kernels().unflatten(0, (self.outputs, self.inputs))  # (O, I, L)
        bias = None
        if self.mix is not None:  # filtering, then mixing, in one convolution
            weight, bias = weight * self.mix.weight[:, :, None], self.mix.bias
        x = x.transpose(1, 2).flatten(0, 1)  # (B * D, I, T)
        before = (self.length - 1) // 2
        x = F.pad(x, (before, self.length - 1 - before))
        y = F.conv1d(x, weight.to(x.dtype), bias)
        y = y.unflatten(0, (batch, rows)).transpose(1, 2)  # (B, O, D, T)
        return y if self.mix is None else F.relu(y)


class TgmHead(nn.Module):
    """Three mixture layers beside the features, classified by two layers.

    With a super-event term, its logits join them. With D = 1024 and 157 classes there
    are 1,132,093 parameters, or 1,373,420.
    """

    def __init__(
        self,
        *,
        width: int,
        classes: int,
        channels: int,
        gaussians: int,
        length: int,
        kernel: Kernel,
        hidden: int,
        filters: int | None,
        dropout: float,
        padding: Padding,
    ) -> None:
        """Build.

        Args:
            width: D of the features.
            classes: C.
            channels: of the mixture layers; 8.
            gaussians: windows of each; 16.
            length: steps of their kernels; 5, or 30.
            kernel: shape of the windows; see `StructureFilters`.
            hidden: channels between the classifier's layers; 512.
            filters: structure filters of each bank of the super-event term; 3. None
                leaves the term out.
            dropout: probability, of the features, of the filtered ones and of the
                term's logits; 0.5.
            padding: `fixed` sets steps after the video to 0 behind every layer, as they
                are around a single video; `reference` lets them run on.
        """
        super().__init__()
        self.width = width
        self.padding: Padding = padding
        self.layers = nn.ModuleList(
            TemporalGaussianMixture(
                inputs, channels, gaussians=gaussians, length=length, kernel=kernel
            )
            for inputs in (1, channels, channels)
        )
        self.dropout = nn.Dropout(dropout)
        self.term: SuperEventTerm | None = None
        joined = 2 * width
        if filters is not None:
            # ASSUME: dropout of the term's logits only.
            self.term = SuperEventTerm(
                width=width,
                classes=classes,
                filters=filters,
                merge="max",
                dropout=0.0,
                padding=padding,
                bound=1 / math.sqrt(4 * width),
            )
            joined += classes
        self.hidden = nn.Conv1d(joined, hidden, 1)
        self.classify = nn.Conv1d(hidden, classes, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features (B, D, T) and mask (B, T) -> logits (B, C, T)."""
        real = real_steps(x, mask, self.width)
        x = x * real
        filtered = x
        for layer in self.layers:
            filtered = layer(filtered)  # (B, channels, D, T)
            if self.padding == "fixed":
                filtered = filtered * real[:, None]
        parts = [self.dropout(x), self.dropout(filtered.amax(1))]
        if self.term is not None:
            term = self.dropout(self.term(x, mask))  # (B, C)
            parts.append(term[:, :, None].expand(-1, -1, x.shape[2]))
        joined = F.relu(torch.cat(parts, 1))
        logits: Tensor = self.classify(F.relu(self.hidden(joined)))
        return logits
