"""Dense mAP of a Charades-sized matrix: ours against plain loops over the classes.

    OMP_NUM_THREADS=1 python benchmarks/dense_map.py [rounds]

1.4 million frames x 157 classes of float32 logits; the labels are segments, 1.2 % of
the frames of each class. The plain loop sorts every class with `np.argsort`, stably,
and takes the precision at each positive; the other loop calls scikit-learn. All run in
one process, in turn, on the same arrays; what counts is the ratio of their processor
times, the median of several rounds. The APs are compared first: with the plain loop as
they are, with scikit-learn as it treats ties, on a few classes.
"""

import os
import platform
import statistics
import sys
import time
import tracemalloc
from datetime import UTC, datetime

import numpy as np
from sklearn.metrics import average_precision_score

from ssdet.metrics import average_precision, mean_over_present

FRAMES, CLASSES, VIDEOS = 1_403_957, 157, 1850
SHARE, SEGMENT = 0.012, 300  # of positives; frames
COMPARED = 4  # classes


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


def check(scores, labels, ours, theirs):
    """See that all give the same."""
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    few = np.s_[:, :COMPARED]
    grouped = average_precision(scores[few], labels[few], ties="grouped")
    expected = scikit_learn(scores[few], labels[few])
    np.testing.assert_allclose(grouped, expected, rtol=0, atol=1e-12)


def timed(function, *given):
    """Result and processor time of one call, in seconds."""
    begun = time.process_time()
    found = function(*given)
    return found, time.process_time() - begun


def main() -> None:
    """Print the times of each side, and the ratios."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    scores, labels = generated()
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, load"
        f" {os.getloadavg()[0]:.1f}, NumPy {np.__version__}, one thread,"
        f" {FRAMES} frames x {CLASSES} classes, {100 * labels.mean():.1f} % positive"
    )
    tracemalloc.start()
    ours = average_precision(scores, labels)
    print(
        f"memory beside the matrix: {tracemalloc.get_traced_memory()[1] / 1e6:.0f} MB"
    )
    tracemalloc.stop()
    check(scores, labels, ours, plain(scores, labels))
    print(f"mAP {mean_over_present(ours):.8f}")
    sides = {"ours": average_precision, "plain": plain, "scikit-learn": scikit_learn}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            times[name].append(timed(side, scores, labels)[1])
    middle = {name: statistics.median(of_side) for name, of_side in times.items()}
    print(f"{'':14}{'seconds':>9}{'ratio':>8}")
    for name, seconds in middle.items():
        print(f"{name:14}{seconds:9.2f}{seconds / middle['ours']:8.1f}")


if __name__ == "__main__":
    main()
