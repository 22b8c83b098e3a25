"""A video as a fixed number of snippets, and the seconds they cover.

Source: spec of SPOT, sections 3.2 and 3.3.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

# Shares of a video's frames that features can plausibly cover; others are errors of the
# table.
PLAUSIBLE = (0.9, 1.05)


def rescale(features: Tensor, snippets: int) -> Tensor:
    """Resample features linearly in time; every one stands in the middle of its share.

    Args:
        features: (L, C), L at least 1.
        snippets: T.

    Returns:
        (C, T).

    Raises:
        ValueError: `features` is not (L, C), or has no row.
    """
    if features.ndim != 2 or len(features) == 0:
        raise ValueError(f"features must be (L, C), are {tuple(features.shape)}")
    rows = features.T[None]  # (1, C, L)
    return F.interpolate(rows, size=snippets, mode="linear", align_corners=False)[0]


def covered_s(duration_s: float, feature_frames: int, video_frames: int) -> float:
    """Seconds that the features of a video cover: its time base, for all uses.

    Args:
        duration_s: of the video.
        feature_frames: frames that the features were made of.
        video_frames: frames of the video.

    Returns:
        `duration_s` in proportion; itself where the proportion is implausible.
    """
    share = feature_frames / video_frames
    return duration_s * share if PLAUSIBLE[0] <= share <= PLAUSIBLE[1] else duration_s
