"""Coarse-Fine with its fine stream inside: both networks learn together.

Source: Kahatapitiya and Ryoo, CVPR 2021 (arXiv:2103.01302), released code; spec of
Coarse-Fine, section 7.1.
"""

from __future__ import annotations

from torch import Tensor, nn

from ssdet.models.coarse_fine import CoarseFine
from ssdet.models.detector import X3DDetector
from ssdet.models.precision import full
from ssdet.models.x3d import FEATURES


class EndToEnd(nn.Module):
    """A coarse stream that reads what a fine stream makes of a clip of its own.

    As Coarse-Fine on stored features, but they are computed in every pass, and the fine
    stream has gradients.
    """

    def __init__(self, coarse: CoarseFine, fine: X3DDetector, pool: int) -> None:
        """Join two networks.

        Args:
            coarse: with fusion.
            fine: a single-stream detector of the same widths.
            pool: rows and columns that its maps are averaged to; 7 in the paper.

        Raises:
            ValueError: `coarse` has no fusion.
        """
        super().__init__()
        if coarse.fusion is None:
            raise ValueError("coarse must have fusion: it is to read the fine stream")
        self.coarse = coarse
        self.fine = fine
        self.pool = pool

    def forward(
        self,
        video: Tensor,
        fine_video: Tensor,
        fine_mask: Tensor,
        start: Tensor,
        record: dict[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Detect.

        Args:
            video: (B, 3, T, H, W), of the coarse stream.
            fine_video: (B, 3, T', H, W), the same part of the frames.
            fine_mask: (B, T'), 1 on valid fine frames.
            start: (B,), where the first frame of `video` lies among the fine frames.
            record: see `CoarseFine.forward`.

        Returns:
            Logits (B, N, 4 ceil(T / 4)), as `CoarseFine`; and those of the fine stream
            (B, N, T').
        """
        maps, fine_logits = self.fine.features_and_logits(fine_video, self.pool)
        features = {name: full(maps[name]) for name in FEATURES}
        logits: Tensor = self.coarse(video, features, fine_mask, start, record)
        return logits, fine_logits
