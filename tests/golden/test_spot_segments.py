"""SPOT's segments, their overlap and suppression, against the published programs."""

import json

import numpy as np
import pytest

from ssdet.evaluate.reference_decoding import (
    class_spans,
    reference_decode,
    reference_suppress,
)
from ssdet.evaluate.segment_decoding import Candidate, decode, probabilities, top
from ssdet.evaluate.segment_overlap import overlap
from ssdet.evaluate.soft_nms import suppress
from tests.golden.rules import spot_uniform


def inputs(content, case):
    """Logits (K + 1, T) and mask (T, T) of a case, by the README's rule."""
    snippets, classes = content["T"], content["foreground_classes"]
    t = np.arange(snippets)
    logits = np.zeros((classes + 1, snippets))
    logits[classes] = 2
    mask = np.full((snippets, snippets), 0.05)
    for start, end, label, amplitude in case["actions"]:
        rise, fall = (t - start) / 1.5, (end - t) / 1.5
        bump = 1 / (1 + np.exp(-rise)) / (1 + np.exp(-fall))
        logits[label] += amplitude * bump
        mask[start:end] = np.maximum(mask[start:end], 0.97 * bump)
    first, second = case["noise_streams"]
    logits += 0.5 * (2 * spot_uniform(list(logits.shape), first) - 1)
    mask *= 0.8 + 0.2 * spot_uniform(list(mask.shape), second)
    return logits, mask.clip(0, 1)


def assert_same(found, expected):
    """Equal rows (numbers, then a label), in any order."""
    assert len(found) == len(expected)
    for ours, theirs in zip(sorted(found), sorted(map(tuple, expected)), strict=True):
        assert ours[-1] == theirs[-1]
        assert ours[:-1] == pytest.approx(theirs[:-1], rel=0, abs=1e-9)


@pytest.mark.golden("inference/cases.json")
def test_reference_decoding(golden_file):
    content = json.loads(golden_file.read_text())
    made = {case["case"]: inputs(content, case) for case in content["synthetic"]}
    for result in content["results"]:
        logits, mask = made[result["case"]]
        action = probabilities(logits)[:-1]
        spans = class_spans(
            action, content["class_thresholds"]
        )  # their fourth column is read by nothing
        for span, row in zip(spans, result["class_spans"], strict=True):
            assert span == pytest.approx(row[:3], rel=0, abs=1e-9)
        assert top(action.max(0), content["top_k_snippets"]) == result["top_snippets"]
        given = result["external_video_score"]
        external = None if given is None else (-1, given["score"])
        found = reference_decode(
            logits,
            mask,
            external,
            content["class_thresholds"],
            content["mask_thresholds"],
            content["top_k_snippets"],
        )
        assert len(found) == result["unique_count"]
        names = {-1: given["label"]} if given else {}
        rows = [(*c[:4], names.get(c.label, f"cls{c.label}")) for c in found]
        assert_same(rows, result["proposals"])


@pytest.mark.golden("inference/cases.json")
def test_decoding(golden_file):
    content = json.loads(golden_file.read_text())
    made = {case["case"]: inputs(content, case) for case in content["synthetic"]}
    thresholds = content["recommended_mask_thresholds"]
    for result in content["recommended"]:
        found = decode(*made[result["case"]], content["top_k_snippets"], thresholds, 2)
        rows = [(c.start, c.end, c.score, f"cls{c.label}") for c in found]
        assert_same(rows, result["proposals"])
        scores = [candidate.score for candidate in found]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.golden("softnms/cases.json")
def test_suppression(golden_file):
    content = json.loads(golden_file.read_text())
    most = content["max_keep"]
    for case in content["cases"]:
        names = sorted(set(case["labels"]))
        candidates = [
            Candidate(*segment, score, names.index(label))
            for segment, score, label in zip(
                case["segments"], case["scores"], case["labels"], strict=True
            )
        ]
        own = suppress(candidates, 0.1, most)
        assert_ranked(own, case["recommended_per_class_sigma_0_1"], names)
        # all of one class: the order in which they are kept is that of the file
        together = suppress([c._replace(label=0) for c in candidates], 0.1, most)
        expected = case["recommended_class_agnostic_sigma_0_1"]
        assert_ranked(together, [[*row[:3], names[0]] for row in expected], names)
        for key, rows in case["reference"].items():
            divisor = float(key.removeprefix("divisor_"))
            theirs = reference_suppress(candidates, divisor, most)
            assert_ranked(theirs, rows, names)


def assert_ranked(found, expected, names):
    """Equal rows in the same order."""
    assert len(found) == len(expected)
    for candidate, row in zip(found, expected, strict=True):
        assert candidate[:3] == pytest.approx(row[:3], rel=0, abs=1e-9)
        assert names[candidate.label] == row[3]


@pytest.mark.golden("tiou/tiou.json")
def test_overlap(golden_file):
    content = json.loads(golden_file.read_text())
    for case in (content, content["random"]):
        expected = [[0.0 if x is None else x for x in row] for row in case["tiou"]]
        found = overlap(case["rows"], case["cols"])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
