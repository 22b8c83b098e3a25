"""Features of videos of several lengths in one batch: which steps are real."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

# fixed: a video has the same logits alone and in a padded batch; reference: as the
# authors' programs, in which the padding of a batch changes them.
Padding = Literal["fixed", "reference"]


def real_steps(x: Tensor, mask: Tensor, width: int) -> Tensor:
    """See that features and mask fit each other.

    Args:
        x: features (B, D, T).
        mask: (B, T), 1 on the first F steps of each video, 0 after them.
        width: the D that is expected.

    Returns:
        The mask (B, 1, T), of the features' type.

    Raises:
        ValueError: the shapes do not fit.
    """
    if x.ndim != 3 or x.shape[1] != width or mask.shape != (x.shape[0], x.shape[2]):
        raise ValueError(
            f"features must be (B, {width}, T) and mask (B, T), got {tuple(x.shape)}"
            f" and {tuple(mask.shape)}"
        )
    return mask[:, None].to(x.dtype)
