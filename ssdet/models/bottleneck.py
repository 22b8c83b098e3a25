"""The residual block of X3D.

Source: Feichtenhofer, CVPR 2020 (arXiv:2004.04730), section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ssdet.kernels.choice import kernels_for
from ssdet.kernels.depthwise import depthwise_conv3d, depthwise_moments
from ssdet.kernels.norm import Moments, Statistics, apply, moments, norm_silu
from ssdet.kernels.pointwise import PointwiseConv3d, widen
from ssdet.models.pieces import in_pieces
from ssdet.models.squeeze_excite import SqueezeExcite
from ssdet.models.sub_batch_norm import SubBatchNorm3d, recomputing


class DepthwiseConv3d(nn.Module):
    """A 3x3x3 convolution of each channel by itself; padding 1, no bias."""

    def __init__(self, channels: int, stride: int) -> None:
        """Build; `stride` is the spatial one, 1 or 2."""
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(channels, 1, 3, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as nn.Conv3d does

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, C, T, ceil(H / stride), ceil(W / stride))."""
        return depthwise_conv3d(x, self.weight, self.stride)

    def extra_repr(self) -> str:
        """What printing the module shows."""
        return f"{self.weight.shape[0]}, stride={self.stride}"


class Bottleneck(nn.Module):
    """Widen, convolve each channel, gate, narrow, add to the shortcut."""

    def __init__(
        self, channels: int, inner: int, out: int, stride: int, gated: bool
    ) -> None:
        """Build.

        Args:
            channels: of the input.
            inner: channels of the depthwise convolution.
            out: channels of the output.
            stride: spatial stride, 1 or 2.
            gated: whether the block has squeeze-excitation.
        """
        super().__init__()
        self.expand = PointwiseConv3d(channels, inner)
        self.expand_norm = SubBatchNorm3d(inner)
        self.depthwise = DepthwiseConv3d(inner, stride)
        self.depthwise_norm = SubBatchNorm3d(inner)
        self.squeeze_excite = SqueezeExcite(inner) if gated else None
        self.project = PointwiseConv3d(inner, out)
        self.project_norm = SubBatchNorm3d(out)
        self.frames_at_once: int | None = None  # in evaluation; see `pieces.py`
        self.recompute = False  # for backward, instead of keeping what is in between
        self.shortcut: PointwiseConv3d | None = None
        self.shortcut_norm: SubBatchNorm3d | None = None
        if stride != 1 or channels != out:
            self.shortcut = PointwiseConv3d(channels, out, stride)
            self.shortcut_norm = SubBatchNorm3d(out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, out, T, ceil(H / stride), ceil(W / stride))."""
        if self.recompute and torch.is_grad_enabled():
            out: Tensor = checkpoint(
                self._compute,
                x,
                use_reentrant=False,
                context_fn=lambda: (nullcontext(), recomputing()),
            )
            return out
        return self._compute(x)

    def _compute(self, x: Tensor) -> Tensor:
        if kernels_for(x) is not None:
            return self._fused(x)
        frames = None if self.training else self.frames_at_once
        inner = in_pieces(self._widen, frames, 1, x)
        gate = None
        if self.squeeze_excite is not None:
            gate = self.squeeze_excite(inner)
        return in_pieces(partial(self._narrow, gate), frames, 0, inner, x)

    def _widen(self, x: Tensor) -> Tensor:
        inner = F.relu(self.expand_norm(self.expand(x)), inplace=True)
        out: Tensor = self.depthwise_norm(self.depthwise(inner))
        return out

    def _narrow(self, gate: Tensor | None, inner: Tensor, x: Tensor) -> Tensor:
        """Gate, project and add to the shortcut."""
        if gate is not None:
            inner = inner * gate
        out = self.project_norm(self.project(F.silu(inner)))
        if self.shortcut is not None and self.shortcut_norm is not None:
            x = self.shortcut_norm(self.shortcut(x))
        return F.relu(x + out, inplace=True)

    def _fused(self, x: Tensor) -> Tensor:
        """The same on kernels of ours: norms in one with what follows them."""
        x = x.contiguous(memory_format=torch.channels_last_3d)
        fixed = not self.training and not torch.is_grad_enabled()
        if fixed and self.expand.takes_norm(x):
            return self._evaluate(x)
        frames = None if self.training else self.frames_at_once
        inner, found = _in_pieces(self._widen_fused, frames, x)
        gated = self.squeeze_excite is not None
        statistics = self.depthwise_norm.statistics(inner, found, of_clips=gated)
        return in_pieces(partial(self._narrow_fused, statistics), frames, 0, inner, x)

    def _evaluate(self, x: Tensor) -> Tensor:
        """Without gradients, and without copies of the wide maps."""
        scale, shift = self.depthwise_norm.scale_and_shift()
        gate = self.squeeze_excite
        wide = partial(
            widen,
            expand=self.expand,
            norm=self.expand_norm.scale_and_shift(),
            weight=self.depthwise.weight,
            stride=self.depthwise.stride,
            silu=(scale, shift) if gate is None else None,
        )
        # on CPUs the widest map is never whole, however many frames there are
        frames = self.frames_at_once if kernels_for(x) == "triton" else None
        inner, found = _in_pieces(wide, frames, x)
        if gate is not None:
            mean = (found or moments(inner))[0]
            factor = gate.factors(mean * scale + shift)  # (B, inner)
            apply(inner, scale * factor, shift * factor, "silu", out=inner)
        if self.shortcut is not None and self.shortcut_norm is not None:
            norm = self.shortcut_norm.scale_and_shift()
            x = self.shortcut.with_norm(x, *norm, "none")
        norm = self.project_norm.scale_and_shift()
        return self.project.with_norm(inner, *norm, "relu", x)

    def _widen_fused(self, x: Tensor) -> tuple[Tensor, Moments | None]:
        wide = self.expand_norm.relu(self.expand(x))
        if self.squeeze_excite is None and not self.depthwise_norm.of_batch:
            return self.depthwise(wide), None
        return depthwise_moments(wide, self.depthwise.weight, self.depthwise.stride)

    def _narrow_fused(self, statistics: Statistics, inner: Tensor, x: Tensor) -> Tensor:
        norm = self.depthwise_norm
        gate = None if self.squeeze_excite is None else self.squeeze_excite.layers
        inner = norm_silu(inner, norm.weight, norm.bias, gate, statistics)
        out = self.project(inner)
        if self.shortcut is not None and self.shortcut_norm is not None:
            x = self.shortcut_norm(self.shortcut(x))
        return self.project_norm.relu(out, x)


def _in_pieces(
    function: Callable[[Tensor], tuple[Tensor, Moments | None]],
    frames: int | None,
    x: Tensor,
) -> tuple[Tensor, Moments | None]:
    """`in_pieces` of a 3x3x3 convolution; moments only of one that is whole."""
    if frames is None or x.shape[2] <= frames:
        return function(x)
    return in_pieces(lambda piece: function(piece)[0], frames, 1, x), None


def recompute_blocks(model: nn.Module) -> None:
    """Keep of every block in `model` only its input, and compute it again in backward.

    The same numbers for less memory and a third more time.
    """
    for module in model.modules():
        if isinstance(module, Bottleneck):
            module.recompute = True
