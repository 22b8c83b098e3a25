"""X3D as the authors of SSDet released it: a plain PyTorch twin to compare with.

Written from the description of their network, not from their program: tensors as NCDHW,
stock convolutions, every normalisation as statistics first and then weight and bias in
operations of their own, swish with its own backward. Tensors have their names.

Source: spec of SSDet, sections 1.1 to 1.4.
"""

import torch
from torch import Tensor, nn

WIDTHS, DEPTHS = (24, 48, 96, 192), (3, 5, 11, 7)


class Swish(torch.autograd.Function):
    """x * sigmoid(x), of which only x is kept."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        """Of any shape."""
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        """Its gradient."""
        (x,) = ctx.saved_tensors
        gate = torch.sigmoid(x)
        return gradient * (gate * (1 + x * (1 - gate)))


class SplitNorm(nn.Module):
    """Statistics of groups of clips in training, of all in evaluation; then affine."""

    def __init__(self, channels: int, splits: int = 1) -> None:
        super().__init__()
        self.splits = splits
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.bn = nn.BatchNorm3d(channels, affine=False)
        self.split_bn = nn.BatchNorm3d(channels * splits, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, T, H, W)."""
        if self.training:
            grouped = x.view(-1, x.shape[1] * self.splits, *x.shape[2:])
            x = self.split_bn(grouped).view(x.shape)
        else:
            x = self.bn(x)
        x = x * self.weight.view(-1, 1, 1, 1)
        return x + self.bias.view(-1, 1, 1, 1)


class Block(nn.Module):
    """Widen, depthwise, squeeze-excitation in every other block, swish, narrow."""

    def __init__(self, channels: int, out: int, stride: int, gate: int) -> None:
        super().__init__()
        inner, steps = int(2.25 * out), (1, stride, stride)
        self.conv1 = nn.Conv3d(channels, inner, 1, bias=False)
        self.bn1 = SplitNorm(inner)
        self.conv2 = nn.Conv3d(inner, inner, 3, steps, 1, groups=inner, bias=False)
        self.bn2 = SplitNorm(inner)
        if gate:
            self.fc1 = nn.Conv3d(inner, gate, 1)
            self.fc2 = nn.Conv3d(gate, inner, 1)
        self.gated = gate > 0
        self.conv3 = nn.Conv3d(inner, out, 1, bias=False)
        self.bn3 = SplitNorm(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1 or channels != out:
            shortcut = nn.Conv3d(channels, out, 1, steps, bias=False)
            self.downsample = nn.Sequential(shortcut, SplitNorm(out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, out, T, H / stride, W / stride)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.gated:
            mean = nn.functional.adaptive_avg_pool3d(out, 1)
            out = out * torch.sigmoid(self.fc2(self.relu(self.fc1(mean))))
        out = self.bn3(self.conv3(Swish.apply(out)))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(out + shortcut)


class AuthorsX3D(nn.Module):
    """X3D-M with a classifier on every frame: (B, 3, T, H, W) -> (B, K, T)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        width = WIDTHS[0]
        steps, time = (1, 2, 2), (5, 1, 1)
        self.conv1_s = nn.Conv3d(3, width, (1, 3, 3), steps, (0, 1, 1), bias=False)
        self.conv1_t = nn.Conv3d(
            width, width, time, 1, (2, 0, 0), groups=width, bias=False
        )
        self.bn1 = SplitNorm(width)
        gates = (8, 8, 16, 32)
        for number, (out, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True)):
            blocks = []
            for block in range(depth):
                gate = gates[number] if block % 2 == 0 else 0
                blocks.append(Block(width, out, 1 if block else 2, gate))
                width = out
            setattr(self, f"layer{number + 1}", nn.Sequential(*blocks))
        self.conv5 = nn.Conv3d(width, 432, 1, bias=False)
        self.bn5 = SplitNorm(432)
        self.fc1 = nn.Conv3d(432, 2048, 1, bias=False)
        self.fc2 = nn.Linear(2048, classes)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> logits (B, K, T)."""
        x = self.relu(self.bn1(self.conv1_t(self.conv1_s(x))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        x = self.relu(self.bn5(self.conv5(x)))
        x = nn.functional.adaptive_avg_pool3d(x, (x.shape[2], 1, 1))
        x = self.relu(self.fc1(x)).flatten(2).transpose(1, 2)  # (B, T, 2048)
        return self.fc2(x).transpose(1, 2)
