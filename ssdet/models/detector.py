"""The single-stream detector: X3D with a classifier on every frame."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ssdet.models.frame_head import HEAD, FrameHead, Mode
from ssdet.models.x3d import FEATURES, X3D, Alter


class X3DDetector(nn.Module):
    """Logits for each frame of a clip (mode `loc`) or for the clip (mode `class`)."""

    def __init__(
        self,
        *,
        depth_factor: float,
        width_factor: float,
        head_width: int,
        classes: int,
        dropout: float,
        mode: Mode,
    ) -> None:
        """Build.

        Args:
            depth_factor: blocks over those of the base network; see `x3d.PRESETS`.
            width_factor: channels over those of the base network.
            head_width: channels between the classifier's two layers.
            classes: K.
            dropout: probability, in the head.
            mode: `loc` or `class`.
        """
        super().__init__()
        self.backbone = X3D(depth_factor, width_factor)
        self.head = FrameHead(
            self.backbone.conv5_width, head_width, classes, dropout, mode
        )

    def forward(
        self, video: Tensor, alter: Alter | None = None, level: int = 0
    ) -> Tensor:
        """(B, 3, T, H, W) -> logits (B, K, T), or (B, K, 1) in mode `class`.

        `alter` is called with the map of one level on the way; see `X3D.forward`.
        """
        logits: Tensor = self.head(self.backbone(video, alter, level))
        return logits

    def features_and_logits(
        self, video: Tensor, pool: int
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The feature maps of the fine stream and the logits, in one pass.

        Source: Kahatapitiya and Ryoo, CVPR 2021, section 3.3, for the five maps.

        Args:
            video: (B, 3, T, H, W).
            pool: rows and columns of the pooled maps; 7 in the paper.

        Returns:
            Maps (B, C, T, pool, pool) by their name in `x3d.FEATURES`, with them, as
            `frame_head.HEAD`, what the classifier reads (B, C, T, 1, 1); and logits.
        """
        x = self.backbone.stem(video)
        maps = {}
        for name, stage in zip(FEATURES, self.backbone.stages, strict=False):
            x = stage(x)
            maps[name] = pool_space(x, pool)  # at once: full maps are large
        x = self.backbone.finish(x)
        read = self.head.features(x)
        maps |= {"conv5": pool_space(x, pool), HEAD: read}
        return maps, self.head.classify(read)


def pool_space(x: Tensor, side: int) -> Tensor:
    """Average (B, C, T, H, W) to (B, C, T, side, side), keeping time."""
    if x.shape[3:] == (side, side):
        return x
    pooled = F.adaptive_avg_pool2d(x.flatten(1, 2), side)  # (B, C * T, side, side)
    return pooled.unflatten(1, x.shape[1:3])
