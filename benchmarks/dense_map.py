"""Dense mAP of a Charades-sized matrix: ours, the common meter, plain loops.

    OMP_NUM_THREADS=2 python benchmarks/dense_map.py [--json FILE]

1.4 million frames x 157 classes of float32 logits; the labels are segments, 1.2 % of
the frames of each class. The common meter gets them video by video, into tensors that
grow (their storage doubles), then sorts every class and takes the precision at its
positives. The plain loop sorts the columns of the matrix with `np.argsort`, stably; the
last one calls scikit-learn. All run in one process, in turn, on the same arrays, and
may use the threads they are given: ours uses all, the meter what PyTorch's sort does.

The APs are compared first: with the plain loop as they are, with scikit-learn as it
treats ties, on a few classes, with the meter, which sums float32 and leaves the order
of ties open, to 1e-4.
"""

import tracemalloc
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from side_by_side import finish, in_turn, options, show, show_facts, summary
from sklearn.metrics import average_precision_score

from ssdet.metrics import average_precision, mean_over_present

FRAMES, CLASSES, VIDEOS = 1_403_957, 157, 1850
SHARE, SEGMENT = 0.012, 300  # of positives; frames
COMPARED = 4  # classes


class Meter:
    """Scores and labels of all videos so far, in tensors whose storage doubles."""

    def __init__(self) -> None:
        self.rows = 0
        self.scores = torch.empty(0, CLASSES)
        self.labels = torch.empty(0, CLASSES, dtype=torch.int64)

    def add(self, scores: torch.Tensor, labels: torch.Tensor) -> None:
        """Append the frames (T, K) of a video."""
        end = self.rows + len(scores)
        if end > len(self.scores):
            self.scores = larger(self.scores, self.rows, 2 * end)
            self.labels = larger(self.labels, self.rows, 2 * end)
        self.scores[self.rows : end] = scores
        self.labels[self.rows : end] = labels
        self.rows = end

    def value(self) -> torch.Tensor:
        """AP of each class: precision at every rank, its mean over the positives."""
        ap = torch.zeros(CLASSES)
        ranks = torch.arange(1, self.rows + 1).float()
        for k in range(CLASSES):
            order = torch.sort(self.scores[: self.rows, k], descending=True)[1]
            truth = self.labels[: self.rows, k][order]
            precision = truth.float().cumsum(0) / ranks
            ap[k] = precision[truth.bool()].sum() / max(int(truth.sum()), 1)
        return ap


def larger(tensor: torch.Tensor, rows: int, wanted: int) -> torch.Tensor:
    """The first rows in a new tensor that has room for more."""
    new = tensor.new_empty(wanted, tensor.shape[1])
    new[:rows] = tensor[:rows]
    return new


def metered(scores, labels, meter=None):
    """AP of each class: all videos are added, then the meter is asked."""
    meter = meter or Meter()
    parts = (np.array_split(array, VIDEOS) for array in (scores, labels))
    for of_video in zip(*parts, strict=True):
        meter.add(*map(torch.from_numpy, of_video))
    return meter.value().numpy()


def generated():
    """Logits and labels (FRAMES, CLASSES)."""
    draws = np.random.default_rng(0)
    labels = np.zeros((CLASSES, FRAMES), dtype=np.uint8)
    for row in labels:
        count = int(FRAMES * SHARE / SEGMENT)
        for start in draws.integers(0, FRAMES - SEGMENT, count):
            row[start : start + SEGMENT] = 1
    labels = np.ascontiguousarray(labels.T)
    scores = draws.standard_normal(labels.shape, dtype=np.float32)
    scores -= 3
    scores += labels  # a weak detector
    return scores, labels


def plain(scores, labels):
    """AP of each class: sort all frames, take the precision at each positive."""
    found = []
    for k in range(scores.shape[1]):
        order = np.argsort(-scores[:, k], kind="stable")
        ranks = np.flatnonzero(labels[order, k]) + 1
        found.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    return np.array(found)


def scikit_learn(scores, labels):
    """AP of each class; frames of equal scores share one threshold."""
    columns = range(scores.shape[1])
    return np.array(
        [average_precision_score(labels[:, k], scores[:, k]) for k in columns]
    )


def check(scores, labels, ours):
    """See that all give the same; returns the MB that the meter holds."""
    theirs = plain(scores, labels)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    meter = Meter()
    np.testing.assert_allclose(metered(scores, labels, meter), ours, rtol=0, atol=1e-4)
    few = np.s_[:, :COMPARED]
    grouped = average_precision(scores[few], labels[few], ties="grouped")
    expected = scikit_learn(scores[few], labels[few])
    np.testing.assert_allclose(grouped, expected, rtol=0, atol=1e-12)
    return (meter.scores.nbytes + meter.labels.nbytes) / 1e6


def main(argv: Sequence[str] | None = None) -> None:
    """Compare and measure."""
    args = options(__doc__, rounds=3).parse_args(argv)
    show_facts()
    scores, labels = generated()
    share = f"{100 * labels.mean():.1f} % positive"
    print(f"{len(scores)} frames x {scores.shape[1]} classes, {share}")
    ours = partial(average_precision, threads=torch.get_num_threads())
    tracemalloc.start()
    ap = ours(scores, labels)
    extra = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    held = check(scores, labels, ap)
    print(f"memory beside the matrix: ours {extra:.0f} MB, the meter {held:.0f} MB")
    print(f"mAP {mean_over_present(ap):.8f}")
    sides = {
        "ours": ours,
        "common meter, add and value": metered,
        "plain loop": plain,
        "scikit-learn": scikit_learn,
    }
    calls = {name: partial(side, scores, labels) for name, side in sides.items()}
    times = in_turn(calls, args.rounds, warm_up=False)  # the checks were one
    rows = summary(times, *list(sides)[1:])
    show("AP of all classes", rows)
    shape = {"shape": list(scores.shape), "map": mean_over_present(ap)}
    memory = {"ours": extra, "common meter": held}
    finish(args.json, "dense_map", {**shape, "memory_mb": memory, "sides": rows})


if __name__ == "__main__":
    main()
