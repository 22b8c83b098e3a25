"""How time and memory grow with the length of clips, batches, videos and workers.

    OMP_NUM_THREADS=1 python benchmarks/growth.py [part of a name ...] [--json FILE]

Each measurement is a process of its own: processor time is the least of its rounds, of
all processes of a loader; memory is the peak above that after the imports. The
exponent is the slope of a straight line through the logarithms: 0 does not grow, 1 is
linear, 2 quadratic. A name marked with ! grows worse than linear.
"""

import csv
import gc
import json
import multiprocessing
import os
import resource
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from side_by_side import finish, options, peak_mb, processor_s, show_facts
from torch.nn.functional import binary_cross_entropy_with_logits

from ssdet.augment.cropped_frames import read_crop
from ssdet.augment.spatial import Crop
from ssdet.data import inventory
from ssdet.data.annotations import Segment, read_dataset
from ssdet.data.clips import collate, load_in_order
from ssdet.data.frame_shard import PackedVideo, write_frames
from ssdet.data.frame_store import FrameStore
from ssdet.data.picture_sources import encode_jpeg
from ssdet.data.shards import shard_name, shards_with
from ssdet.data.synthetic_video import encode
from ssdet.evaluate.detections import Detection
from ssdet.evaluate.segment_ap import segment_scores
from ssdet.metrics import average_precision
from ssdet.models.detector import X3DDetector
from ssdet.train.execution import channels_last, place

HEIGHT, WIDTH, CROP, FRAMES = 96, 128, 64, 256
WORSE = 1.15  # an exponent above is worse than linear
TABLE = {"format": "table", "segments": "refuse"}


def noise_jpeg():
    """A picture of noise as a JPEG file."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return encode_jpeg(Image.fromarray(noise), 90)


def write_store(folder, videos, frames):
    """A folder of shards of 64 videos, whose frames share one picture."""
    data, part = noise_jpeg(), folder / "part"
    part.write_bytes(data)
    places = np.zeros(frames, np.int64), np.full(frames, len(data), np.int32)
    size = HEIGHT, WIDTH
    names = [f"v{number:06d}" for number in range(videos)]
    for first in range(0, videos, 64):
        packed = [
            PackedVideo(name, part, *places, 10.0, frames / 10, *size)
            for name in names[first : first + 64]
        ]
        write_frames(folder / f"frames/{shard_name(first // 64)}", packed, {}, dict)
    return folder / "frames"


def reading(folder, frames, batch):
    """Read a batch of clips; every frame is other bytes to the store."""
    data = noise_jpeg()
    (folder / "part").write_bytes(data * FRAMES)
    places = np.arange(FRAMES) * len(data), np.full(FRAMES, len(data), np.int32)
    video = PackedVideo("v", folder / "part", *places, 10.0, FRAMES / 10, HEIGHT, WIDTH)
    write_frames(folder / "frames/shard-000.h5", [video], {}, dict)
    store, crop = FrameStore(folder / "frames"), Crop(5, 7, 80, False)

    def item(number):
        return {"video": read_crop(store, "v", range(frames), crop, CROP)}

    return item, lambda: collate([item(n) for n in range(batch)])


def loading(folder, workers):
    """Read 64 clips in several processes."""
    item, _ = reading(folder, 16, 1)

    return lambda: [None for _ in load_in_order(item, 64, 4, workers)]


def small_detector():
    """A shallow and narrow X3D, for 10 classes."""
    torch.manual_seed(0)
    model = X3DDetector(
        depth_factor=1.0,
        width_factor=1.0,
        head_width=64,
        classes=10,
        dropout=0.0,
        mode="loc",
    )
    place(model, torch.device("cpu"))
    return model


def noise_clips(batch, frames):
    """A batch for a network."""
    return channels_last(torch.randn(batch, 3, frames, CROP, CROP))


def training(frames, batch):
    """Forward and backward of a small detector."""
    model, video = small_detector().train(), noise_clips(batch, frames)
    labels = torch.zeros(batch, 10, frames)

    def step():
        model.zero_grad(set_to_none=True)
        binary_cross_entropy_with_logits(model(video), labels).backward()

    return step


def predicting(frames):
    """A small detector over a whole video."""
    model, video = small_detector().eval(), noise_clips(1, frames)
    return torch.inference_mode()(lambda: model(video))


def opening(folder, videos):
    """Open a store and look up every video."""
    frames = write_store(folder, videos, 4)

    def open_all():
        store = FrameStore(frames)
        return [store.info(name) for name in store.video_ids]

    return open_all


def label_rows(videos):
    """Labels of both splits, two segments for each video."""
    rows = [("video_id", "start_s", "end_s", "label", "split")]
    for number in range(videos):
        split = ("train", "test")[number % 2]
        for start in (0.0, 0.2):
            rows.append(
                (f"v{number:06d}", start, start + 0.2, f"c{number // 2 % 20}", split)
            )
    return rows


def write_labels(folder, videos):
    """The rows as a file."""
    path = folder / "labels.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(label_rows(videos))
    return path


def planning(folder, videos):
    """What the workflow does before the first job: read labels, deal out shards."""
    labels = write_labels(folder, videos)

    def plan():
        gc.set_threshold(100_000, 50, 50)  # as the workflow does
        data = read_dataset("x", TABLE, labels, labels, None)
        everything = [record.video_id for record in data.records]
        return [
            shards_with([r.video_id for r in data.of(split)], everything, 64)
            for split in ("training", "testing")
        ]

    return plan


def taking_stock(folder, videos):
    """The stage `inventory` over links to one short video."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 48, 48, 3), np.uint8)
    (folder / "one.mp4").write_bytes(encode(noise, 48, 10, "noise"))
    (folder / "videos").mkdir()
    for number in range(videos):
        os.link(folder / "one.mp4", folder / f"videos/v{number:06d}.mp4")
    labels = write_labels(folder, videos)
    recipe = json.dumps({**TABLE, "fps": None, "mean": [0] * 3, "std": [1] * 3})
    arguments = [
        *("--name", "x", "--dataset", recipe, "--classes", ""),
        *("--training", str(labels), "--testing", str(labels)),
        *("--videos", str(folder / "videos"), "--out", str(folder / "inventory.csv")),
        *("--data", '{"max_missing_fraction": 0, "exclude": []}'),
    ]
    return lambda: inventory.main(arguments)


def frame_ap(frames):
    """Per-frame AP of 50 classes."""
    draws = np.random.default_rng(0)
    scores = draws.standard_normal((frames, 50), dtype=np.float32)
    labels = (draws.random((frames, 50), dtype=np.float32) < 0.02).astype(np.uint8)
    return lambda: average_precision(scores, labels)


def segment_ap(videos):
    """AP of segments: 5 true ones and 20 found in each video, of 20 classes."""
    draws = np.random.default_rng(0)

    def spans(count):
        starts = draws.random(count) * 100
        return zip(starts, starts + 1 + 10 * draws.random(count), strict=True)

    def names(count):
        return [f"c{n}" for n in draws.integers(0, 20, count)]

    truth, found = {}, {}
    for number in range(videos):
        pairs = zip(spans(5), names(5), strict=True)
        truth[f"v{number}"] = [Segment(a, b, label) for (a, b), label in pairs]
        triples = zip(spans(20), names(20), draws.random(20), strict=True)
        found[f"v{number}"] = [
            Detection(a, b, label, score) for (a, b), label, score in triples
        ]
    thresholds = np.arange(0.5, 1.0, 0.05)
    return lambda: segment_scores(truth, found, thresholds)


# name: (what grows, sizes, size and folder -> what is measured)
CASES = {
    "read, clip length": ((16, 32, 64, 128), lambda n, f: reading(f, n, 4)[1]),
    "read, batch": ((4, 8, 16, 32), lambda n, f: reading(f, 16, n)[1]),
    "read 64 clips, workers": ((1, 2, 4), lambda n, f: loading(f, n)),
    "open store, videos": ((500, 1000, 2000, 4000), lambda n, f: opening(f, n)),
    "train step, clip length": ((16, 32, 64, 128), lambda n, f: training(n, 2)),
    "train step, batch": ((2, 4, 8, 16), lambda n, f: training(16, n)),
    "predict, video length": ((64, 128, 256, 512), lambda n, f: predicting(n)),
    "inventory, videos": ((50, 100, 200, 400), lambda n, f: taking_stock(f, n)),
    "plan, videos": ((2500, 5000, 10000, 20000), lambda n, f: planning(f, n)),
    "per-frame AP, frames": (
        (50_000, 100_000, 200_000, 400_000),
        lambda n, f: frame_ap(n),
    ),
    "segment AP, videos": ((250, 500, 1000, 2000), lambda n, f: segment_ap(n)),
}


def measure(name, size, rounds, answer):
    """Send seconds and MB of one case, measured in this process."""
    before = peak_mb()
    with tempfile.TemporaryDirectory() as folder:
        work = CASES[name][1](size, Path(folder))
        spent = []
        for _ in range(rounds):
            begun = processor_s()
            work()
            spent.append(processor_s() - begun)
    extra = peak_mb() - before
    if "workers" in name:
        worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        extra += size * max(0.0, worker - before)
    answer.send((min(spent), extra))


def measured(name, size, rounds):
    """Seconds and MB of one case: a new process has the imports already."""
    receive, send = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=measure, args=(name, size, rounds, send)
    )
    process.start()
    send.close()
    try:
        return receive.recv()
    finally:
        process.join()


def exponent(sizes, values):
    """Slope of the logarithms; nothing that can be measured does not grow."""
    if min(values) <= 0:
        return 0.0
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row for each case."""
    parser = options(__doc__, rounds=3)
    parser.add_argument("parts", nargs="*", help="of names; none: all cases")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    show_facts()
    print("| what, against | sizes | seconds | exponent | MB | exponent |")
    print("|---|---|---|---:|---|---:|")
    results = {}
    for name, (sizes, _) in CASES.items():
        if args.parts and not any(part in name for part in args.parts):
            continue
        found = [measured(name, size, args.rounds) for size in sizes]
        seconds, megabytes = map(list, zip(*found, strict=True))
        slopes = exponent(sizes, seconds), exponent(sizes, megabytes)
        mark = " !" if max(slopes) > WORSE else ""
        print(
            f"| {name}{mark} | {', '.join(map(str, sizes))}"
            f" | {', '.join(f'{x:.3g}' for x in seconds)} | {slopes[0]:.2f}"
            f" | {', '.join(f'{x:.0f}' for x in megabytes)} | {slopes[1]:.2f} |",
            flush=True,
        )
        results[name] = {
            "sizes": sizes,
            "seconds": seconds,
            "seconds_exponent": slopes[0],
            "mb": megabytes,
            "mb_exponent": slopes[1],
        }
    finish(args.json, "growth", {"cases": results})


if __name__ == "__main__":
    main()
