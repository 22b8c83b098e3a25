"""Volume augmentation as loops over clips: with slices, and with masks of the volume.

Both are written from the description of the augmentations, and differ in how the pixels
are made only. SLICES copies and blends the frames and columns that change. MASKS is the
straightforward way: for each clip masks repeated to the whole volume (C, T, H, W),
boolean ones to freeze, float ones to blend, and the sliding columns gathered one by one
from a permuted volume.

Source: spec of SSDet, sections 3.3 to 3.8.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ssdet.augment.cutmix import view_borders, view_shift
from ssdet.augment.policy import Draws

# A source is [labels, weights, visible], three lists of lists (clip, frame).
Paint = dict[str, Callable[..., None]]  # each fills one clip (C, T, H, W)


def loop(
    video: Tensor, classes: Tensor, draws: Draws, paint: Paint
) -> tuple[Tensor, ...]:
    """Everything, clip by clip: the video, then stacked labels, weights, visibility."""
    frames = video.shape[2]
    labels = [[k + 1] * frames for k in classes.tolist()]
    if draws.freeze is not None:
        out = torch.empty_like(video)
        for b, own in enumerate(labels):
            start, length = (
                int(x[b]) for x in (draws.freeze.start, draws.freeze.length)
            )
            paint["freeze"](out[b], video[b], start, length)
            rest = own[start + 1 : frames - length + 1]
            labels[b] = own[:start] + [0] * length + rest
        video = out
    ones, seen = [[1.0] * frames] * len(labels), [[True] * frames] * len(labels)
    sources = [(labels, ones, seen)]
    for name, plan in (("mixup", fading), ("window", wiping), ("view", sliding)):
        draw = getattr(draws, name)
        if draw is None:
            continue
        out, partners = torch.empty_like(video), draw.partner.tolist()
        weights, seen = [], []
        for b, p in enumerate(partners):
            how, shares, visible = plan(draw, b, video)
            paint[name](out[b], video[b], video[p], *how)
            weights.append(shares)
            seen.append(visible)
        video, sources = out, combined(sources, partners, weights, seen)
    stacked = (
        torch.tensor(list(x), device=video.device) for x in zip(*sources, strict=True)
    )
    return video, *stacked


def fade(draw, b, frames):
    """Weights and visibilities of clip b and its partner: two lists each."""
    (a1, a2), (n1, n2) = draw.start[:, b].tolist(), draw.length[:, b].tolist()
    if a1 <= a2:
        a1 = 0
    else:
        a2 = 0
    e1, e2 = a1 + n1, a2 + n2
    if e1 >= e2:
        e1 = frames
    else:
        e2 = frames
    low, high = max(a1, a2), min(e1, e2)
    first, second = [], []
    for t in range(frames):
        if low <= t < high:
            up = (t + 1 - low) / (high - low + 1)
            vee = abs(2 * (t + 1) - low - high) / (high - low + 1)
            if a1 < a2:
                share = 1 - up if e1 < e2 else vee
            else:
                share = 1 - vee if e1 < e2 else up
        else:
            share = float(a1 <= t < e1)
        first.append(share)
        second.append(1 - share)
    seen = [[a <= t < e for t in range(frames)] for a, e in ((a1, e1), (a2, e2))]
    return (first, second), seen


# What a pair of clips needs: arguments of the painter, weights, visibilities.


def fading(draw, b, video):
    """MixUp: the share of the clip in each frame."""
    shares, seen = fade(draw, b, video.shape[2])
    share = torch.tensor(shares[0], device=video.device)  # (T,)
    return (share,), shares, seen


def wiping(draw, b, video):
    """Transient Window: the partner's share of each column (T, W), and who is seen."""
    frames, width = video.shape[2], video.shape[4]
    (shares, _), seen = fade(draw, b, frames)
    margin, masks = width // 16, []
    for t, share in enumerate(shares):
        if not (seen[0][t] and seen[1][t]):
            masks.append(torch.full((width,), float(seen[1][t])))
            continue
        end = min(width * share + margin, width)
        begin = width - min(width * (1 - share) + margin, width)
        columns = torch.arange(width, dtype=torch.float64)
        ramp = (columns + 1 - begin) / (end - begin + 1)
        masks.append((ramp.clamp(max=1) * (columns >= begin - 1e-9)).float())
    mask = torch.stack(masks)
    own = (1 - mask.mean(1)).tolist()
    weights = own, [1 - x for x in own]
    return (mask.to(video.device), seen), weights, seen


def sliding(draw, b, video):
    """Transient View: by how many columns each frame has slid."""
    frames, width = video.shape[2], video.shape[4]
    shifts = view_shift(frames, width, torch.device("cpu")).tolist()
    half, both = [0.5] * frames, [True] * frames
    return (shifts,), (half, half), (both, both)


def combined(sources, partners, weights, seen):
    """Sources of every clip, then those of its partner."""
    joined = []
    for side in (0, 1):
        for labels, own, visible in sources:
            rows = list(enumerate(partners if side else range(len(partners))))
            joined.append(
                (
                    [labels[p] for _, p in rows],
                    [times(own[p], weights[b][side]) for b, p in rows],
                    [times(visible[p], seen[b][side]) for b, p in rows],
                )
            )
    return joined


def times(one, two):
    """Products; of truth values, whether both are true."""
    return [type(x)(x * y) for x, y in zip(one, two, strict=True)]


# ----------------------------------------------------------------------------- slices


def freeze_slices(out, clip, start, length):
    """Hold one frame."""
    end = start + length
    out[:, :start] = clip[:, :start]
    out[:, start:end] = clip[:, start : start + 1]
    out[:, end:] = clip[:, start + 1 : clip.shape[1] - length + 1]


def mixup_slices(out, clip, partner, share):
    """Fade a clip into its partner."""
    w = share[None, :, None, None]
    out[:] = w * clip + (1 - w) * partner


def window_slices(out, clip, partner, mask, seen):
    """Wipe a clip over its partner; frames that show one of them are copied."""
    for t, (own, other) in enumerate(zip(*seen, strict=True)):
        if own and other:
            out[:, t] = (1 - mask[t]) * clip[:, t] + mask[t] * partner[:, t]
        else:
            out[:, t] = (clip if own else partner)[:, t]


def view_slices(out, clip, partner, shifts):
    """Slide a clip and its partner behind two windows."""
    width = clip.shape[3]
    begin, end = view_borders(width)
    count = end - begin
    ramp = torch.arange(1, count + 1, device=clip.device) / (count + 1)
    for t, s in enumerate(shifts):
        out[:, t, :, :begin] = clip[:, t, :, s : begin + s]
        out[:, t, :, end:] = partner[:, t, :, end - s : width - s]
        left = clip[:, t, :, begin + s : end + s]
        right = partner[:, t, :, begin - s : end - s]
        out[:, t, :, begin:end] = (1 - ramp) * left + ramp * right


SLICES: Paint = {
    "freeze": freeze_slices,
    "mixup": mixup_slices,
    "window": window_slices,
    "view": view_slices,
}


# ------------------------------------------------------------------------------ masks


def freeze_masks(out, clip, start, length):
    """Hold one frame: boolean masks of the volume take and put every pixel."""
    channels, frames, height, width = clip.shape
    t, end = torch.arange(frames, device=clip.device), start + length

    def whole(chosen):
        return chosen[None, :, None, None].repeat(channels, 1, height, width)

    out[whole(t < start)] = clip[whole(t < start)]
    held = clip[:, start : start + 1].repeat(1, length, 1, 1)
    out[whole((start <= t) & (t < end))] = held.flatten()
    moved = (start < t) & (t <= frames - length)
    out[whole(t >= end)] = clip[whole(moved)]


def mixup_masks(out, clip, partner, share):
    """Fade a clip into its partner."""
    channels, _, height, width = clip.shape
    first = share[None, :, None, None].repeat(channels, 1, height, width)
    blend(out, clip, partner, first)


def window_masks(out, clip, partner, mask, seen):
    """Wipe a clip over its partner."""
    channels, _, height, _ = clip.shape
    blend(out, clip, partner, 1 - mask[None, :, None].repeat(channels, 1, height, 1))


def view_masks(out, clip, partner, shifts):
    """Slide a clip and its partner behind two windows."""
    channels, frames, height, width = clip.shape
    begin, end = view_borders(width)
    columns = torch.arange(width, device=clip.device)
    second = ((columns + 1 - begin) / (end - begin + 1)).clamp(0, 1)  # (W,)
    shift = torch.tensor(shifts, device=clip.device)[:, None]  # (T, 1)
    left, right = rolled(clip, columns + shift), rolled(partner, columns - shift)
    blend(out, left, right, 1 - second.repeat(channels, frames, height, 1))


def blend(out, clip, partner, first):
    """Add two volumes, with the share (C, T, H, W) of the first."""
    second = 1 - first
    out.copy_(first * clip + second * partner)


def rolled(clip, columns):
    """A volume (C, T, H, W) whose columns are those (T, W) of another, gathered."""
    channels, _, height, width = clip.shape
    index = (columns % width)[:, :, None, None].repeat(1, 1, channels, height)
    return clip.permute(1, 3, 0, 2).gather(1, index).permute(2, 0, 3, 1)


MASKS: Paint = {
    "freeze": freeze_masks,
    "mixup": mixup_masks,
    "window": window_masks,
    "view": view_masks,
}
