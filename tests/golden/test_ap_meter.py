"""Average precision against the reference's own meter, and the bounds of its ties."""

import json

import numpy as np
import pytest

from ssdet import metrics

TOLERANCE = 1e-6


def tied(scores, labels, positives_first):
    """AP (K,) with every positive before (or behind) the negatives it is tied with."""
    found = []
    for k in range(labels.shape[1]):
        order = np.argsort(labels[:, k], kind="stable")
        order = order[::-1] if positives_first else order
        rows = scores[order, k, None], labels[order, k, None]
        found.append(metrics.average_precision(*rows)[0])
    return np.array(found)


def challenge_normalised(scores, labels):
    """AP with as many positives and negatives in every class: 1100 and 45000."""
    found = []
    for k in range(labels.shape[1]):
        positive = labels[metrics.descending_order(scores[:, k]), k].astype(bool)
        if positive.all() or not positive.any():
            found.append(1.0 if positive.any() else np.nan)
            continue
        hits, misses = np.cumsum(positive), np.cumsum(~positive)
        hits = hits * 1100 / positive.sum()
        misses = misses * 45000 / (~positive).sum()
        found.append((hits / (hits + misses))[positive].mean())
    return np.array(found)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.golden("ap_meter.json")
def test_average_precision(golden_file):
    arrays = np.load(golden_file.with_suffix(".npz"))
    for case in json.loads(golden_file.read_text()):
        name = case["case"]
        scores, labels = arrays[f"{name}.scores"], arrays[f"{name}.labels"]
        assert scores.shape == (case["N"], case["K"])
        stable = metrics.average_precision(scores, labels)
        close(stable, arrays[f"{name}.ap_stable_nan"])
        assert np.flatnonzero(np.isnan(stable)).tolist() == case["absent_classes"]
        assert (stable[case["all_positive"]] == 1).all()
        low, high = tied(scores, labels, False), tied(scores, labels, True)
        close(low, arrays[f"{name}.ap_tie_low"])
        close(high, arrays[f"{name}.ap_tie_high"])
        reference = arrays[f"{name}.ap_reference"]
        inside = (reference >= np.nan_to_num(low) - TOLERANCE) & (
            reference <= np.nan_to_num(high) + TOLERANCE
        )
        assert inside.all()
        if not case["ties"]:
            close(np.nan_to_num(stable), reference)
            as_zero = case["map_reference_absent_as_zero"]
            close(np.nan_to_num(stable).mean(), as_zero)
        close(metrics.mean_over_present(stable), case["map_present_only"])
        counts = metrics.positives(labels)
        close(metrics.weighted_mean_over_present(stable, counts), case["wap"])
        normalised = challenge_normalised(scores, labels)
        close(normalised, arrays[f"{name}.ap_vu17"])
        expected = case["map_vu17_present_only"]
        close(metrics.mean_over_present(normalised), expected)
