"""Volume augmentation of 8 x 3 x 16 x 224 x 224: ours against a loop over clips.

    OMP_NUM_THREADS=1 python benchmarks/augment.py [cuda]

The loop is what one writes from the paper's description: for each clip, and where
columns change for each frame, copy or blend slices. Both sides run in one process, in
turn, on the same batch with the same draws; what counts is the ratio of their processor
times (on a GPU: of times on the clock), the median of several rounds. Videos, labels,
weights and visibilities are compared first. The allocator's settings (MALLOC_*,
GLIBC_TUNABLES) are printed, since they change both sides.
"""

import os
import platform
import statistics
import sys
import time
from datetime import UTC, datetime

import torch

from ssdet.augment import policy
from ssdet.augment.cutmix import view_borders, view_shift
from ssdet.config import AugmentConfig

ROUNDS = 9
SHAPE = (8, 3, 16, 224, 224)
RECIPE = {
    "background": "class",
    "normalisation": "visible",
    "freeze": {"min_length": 2, "max_fraction": 0.5, "segments": 1},
    "mixup": {"covering": True, "shift": False, "symmetric": False},
    "cutmix": {"kind": "view", "covering": True},
    "joint": {"probability": 1.0, "per": "batch"},
}
CASES = {  # name -> pretext, kind of CutMix
    "freeze": ("freeze", "view"),
    "mixup": ("mixup", "view"),
    "cutmix, window": ("cutmix", "window"),
    "cutmix, view": ("cutmix", "view"),
    "all, window": ("joint", "window"),
    "all, view": ("joint", "view"),
}


# A source is [labels, weights, visible], three lists of lists (clip, frame).


def loop_freeze(video, sources, draw):
    """Hold one frame of each clip."""
    out = torch.empty_like(video)
    starts, lengths = draw.start[:, 0].tolist(), draw.length[:, 0].tolist()
    (labels, weights, visible) = sources[0]
    moved = []
    for b, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        frames, end = video.shape[2], start + length
        out[b, :, :start] = video[b, :, :start]
        out[b, :, start:end] = video[b, :, start : start + 1]
        out[b, :, end:] = video[b, :, start + 1 : frames - length + 1]
        rest = labels[b][start + 1 : frames - length + 1]
        moved.append(labels[b][:start] + [0] * length + rest)
    return out, [(moved, weights, visible)]


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


def combine(sources, partners, weights, seen):
    """Sources of every clip, then those of its partner."""
    joined = []
    for side in (0, 1):
        for labels, own, visible in sources:
            rows = partners if side else range(len(partners))
            joined.append(
                (
                    [labels[p] for p in rows],
                    [
                        [x * y for x, y in zip(own[p], weights[b][side], strict=True)]
                        for b, p in enumerate(rows)
                    ],
                    [
                        [
                            x and y
                            for x, y in zip(visible[p], seen[b][side], strict=True)
                        ]
                        for b, p in enumerate(rows)
                    ],
                )
            )
    return joined


def loop_mixup(video, sources, draw):
    """Fade each clip into its partner."""
    out = torch.empty_like(video)
    partners, weights, seen = draw.partner.tolist(), [], []
    for b, p in enumerate(partners):
        shares, visible = fade(draw, b, video.shape[2])
        weights.append(shares)
        seen.append(visible)
        w = torch.tensor(shares[0], device=video.device)[None, :, None, None]
        out[b] = w * video[b] + (1 - w) * video[p]
    return out, combine(sources, partners, weights, seen)


def loop_window(video, sources, draw):
    """Wipe each clip over its partner, frame by frame."""
    out = torch.empty_like(video)
    width, frames = video.shape[4], video.shape[2]
    partners, weights, seen = draw.partner.tolist(), [], []
    for b, p in enumerate(partners):
        (shares, _), visible = fade(draw, b, frames)
        own, margin = [], width // 16
        for t, share in enumerate(shares):
            if not (visible[0][t] and visible[1][t]):
                out[b, :, t] = video[b if visible[0][t] else p, :, t]
                own.append(float(visible[0][t]))
                continue
            end = min(width * share + margin, width)
            begin = width - min(width * (1 - share) + margin, width)
            columns = torch.arange(width, dtype=torch.float64)
            ramp = (columns + 1 - begin) / (end - begin + 1)
            inside = columns >= begin - 1e-9
            mask = (ramp.clamp(max=1) * inside).float().to(video.device)
            out[b, :, t] = (1 - mask) * video[b, :, t] + mask * video[p, :, t]
            own.append(1 - mask.mean().item())
        weights.append((own, [1 - x for x in own]))
        seen.append(visible)
    return out, combine(sources, partners, weights, seen)


def loop_view(video, sources, draw):
    """Slide each clip and its partner behind two windows, frame by frame."""
    out = torch.empty_like(video)
    width, frames = video.shape[4], video.shape[2]
    begin, end = view_borders(width)
    shifts = view_shift(frames, width, torch.device("cpu")).tolist()
    count = end - begin
    ramp = torch.arange(1, count + 1, device=video.device) / (count + 1)
    partners = draw.partner.tolist()
    for b, p in enumerate(partners):
        for t, s in enumerate(shifts):
            out[b, :, t, :, :begin] = video[b, :, t, :, s : begin + s]
            out[b, :, t, :, end:] = video[p, :, t, :, end - s : width - s]
            left = video[b, :, t, :, begin + s : end + s]
            right = video[p, :, t, :, begin - s : end - s]
            out[b, :, t, :, begin:end] = (1 - ramp) * left + ramp * right
    half, both = [0.5] * frames, [True] * frames
    rows = len(partners)
    joined = combine(sources, partners, [(half, half)] * rows, [(both, both)] * rows)
    return out, joined


def loop(video, classes, draws):
    """Everything, clip by clip; returns the video and stacked labels."""
    frames = video.shape[2]
    labels = [[k + 1] * frames for k in classes.tolist()]
    ones, seen = [[1.0] * frames] * len(labels), [[True] * frames] * len(labels)
    sources = [(labels, ones, seen)]
    for step, draw in (
        (loop_freeze, draws.freeze),
        (loop_mixup, draws.mixup),
        (loop_window, draws.window),
        (loop_view, draws.view),
    ):
        if draw is not None:
            video, sources = step(video, sources, draw)
    stacked = (
        torch.tensor(list(x), device=video.device) for x in zip(*sources, strict=True)
    )
    return video, *stacked


def check(video, classes, draws, config):
    """See that both sides give the same."""
    mixed, soft = policy.apply(video, classes, draws, config)
    expected, labels, weights, visible = loop(video, classes, draws)
    torch.testing.assert_close(mixed, expected, rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(soft.weights, weights, rtol=1e-5, atol=1e-5)
    assert soft.labels.equal(labels)
    assert soft.visible.equal(visible)


def milliseconds(function, *given) -> float:
    """Processor time of one call; on a GPU, time on the clock."""
    cuda = given[0].is_cuda
    clock = time.perf_counter if cuda else time.process_time
    if cuda:
        torch.cuda.synchronize()
    begun = clock()
    function(*given)
    if cuda:
        torch.cuda.synchronize()
    return 1000 * (clock() - begun)


def main() -> None:
    """Print one line for each augmentation."""
    device = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cpu")
    cuda = device.type == "cuda"
    machine = torch.cuda.get_device_name() if cuda else platform.machine()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}, load {os.getloadavg()[0]:.1f},")
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, fp32;", end=" "
    )
    keys = [key for key in os.environ if key.startswith(("MALLOC_", "GLIBC_"))]
    print("allocator:", ", ".join(f"{k}={os.environ[k]}" for k in keys) or "default")
    print(f"{'':16}{'loop ms':>10}{'ours ms':>10}{'ratio':>8}")
    source = torch.Generator().manual_seed(0)
    video = torch.randn(SHAPE, generator=source).to(device)
    classes = torch.arange(SHAPE[0], device=device)
    for name, (pretext, kind) in CASES.items():
        recipe = {**RECIPE, "cutmix": {"kind": kind, "covering": True}}
        config = AugmentConfig.model_validate(recipe)
        draws = policy.draw(pretext, SHAPE[0], SHAPE[2], 1, config, source)
        check(video, classes, draws, config)
        times = [
            (
                milliseconds(loop, video, classes, draws),
                milliseconds(policy.apply, video, classes, draws, config),
            )
            for _ in range(ROUNDS)
        ]
        theirs, ours = (statistics.median(side) for side in zip(*times, strict=True))
        print(f"{name:16}{theirs:10.1f}{ours:10.1f}{theirs / ours:8.1f}")


if __name__ == "__main__":
    main()
