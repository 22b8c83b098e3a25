"""The loss of detection, and laying clip-rate logits over labelled times.

Source: Kahatapitiya and Ryoo, CVPR 2021 (arXiv:2103.01302), section 4.1, and its
released code; Kahatapitiya et al., AAAI 2023 (arXiv:2111.13675).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ssdet.models.precision import full, no_autocast
from ssdet.models.time_sampling import read_at


def detection_loss(
    logits: Tensor, labels: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Binary cross-entropy of every row, and of the strongest row of each clip.

    Equal to the entropy of sigmoid(logits) * mask, without its rounding.

    Args:
        logits: (B, K, R), at the rows of the labels.
        labels: (B, K, R), in [0, 1].
        mask: (B, R), 1 on valid rows.

    Returns:
        total = (cls + loc) / 2;
        cls, mean over clips and classes, of the maxima over valid rows;
        loc, mean over valid rows and classes.

    Raises:
        ValueError: the shapes do not fit, or no row is valid.
    """
    batch, classes, rows = logits.shape
    if labels.shape != logits.shape or mask.shape != (batch, rows):
        raise ValueError(
            f"labels must be {(batch, classes, rows)} like logits and mask"
            f" {(batch, rows)}, got {tuple(labels.shape)} and {tuple(mask.shape)}"
        )
    with no_autocast(logits):
        logits = full(logits)
        labels, mask = labels.to(logits.dtype), mask.to(logits.dtype)[:, None]
        valid = mask.sum()
        entropy = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        loc = (entropy * mask).sum() / (classes * valid)
        lowest = torch.finfo(logits.dtype).min
        cls = F.binary_cross_entropy_with_logits(
            logits.masked_fill(mask == 0, lowest).amax(2), (labels * mask).amax(2)
        )
        return (cls + loc) / 2, cls, loc


def resize_in_index(logits: Tensor, rows: int, align_corners: bool) -> Tensor:
    """Resize (B, K, T) to (B, K, rows) linearly, whatever the times.

    Args:
        logits: (B, K, T).
        rows: R.
        align_corners: True puts the first and last sample on the first and last row;
            False puts sample j in the middle of its share of the rows.
    """
    with no_autocast(logits):
        return F.interpolate(
            full(logits), size=rows, mode="linear", align_corners=align_corners
        )


def interpolate_in_time(logits: Tensor, sample_times: Tensor, times: Tensor) -> Tensor:
    """Read logits at given times; outside their own, the first or last one counts.

    Args:
        logits: (B, K, T).
        sample_times: (T,) or (B, T), rising, in seconds.
        times: (R,) or (B, R), in seconds.

    Returns:
        (B, K, R), float32 or better.

    Raises:
        ValueError: `sample_times` has another T than `logits`.
    """
    batch, _, samples = logits.shape
    if sample_times.shape not in ((samples,), (batch, samples)):
        raise ValueError(
            f"sample_times must be ({samples},) or ({batch}, {samples}) like logits,"
            f" got {tuple(sample_times.shape)}"
        )
    if samples == 1:
        return full(logits).expand(-1, -1, times.shape[-1])
    own = sample_times.double().expand(batch, -1).contiguous()
    wanted = times.to(own).expand(batch, -1).contiguous()
    before = (torch.searchsorted(own, wanted, right=True) - 1).clamp(0, samples - 2)
    start, end = own.gather(1, before), own.gather(1, before + 1)
    return read_at(full(logits), before + (wanted - start) / (end - start))
