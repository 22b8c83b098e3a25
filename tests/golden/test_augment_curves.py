"""Order of frozen frames, and weights of two clips over time: aug_curves.json."""

import json

import numpy as np
import pytest
import torch

from ssdet.augment.freeze import frozen_order
from ssdet.augment.pairs import PairDraw, intervals, overlay


def read(golden_file, key):
    return json.loads(golden_file.read_text())[key]


def column(*values):
    """(2, 1): one value for each of two clips."""
    return torch.tensor(values)[:, None]


def order(frames, segments):
    start = torch.tensor([[s["start"] for s in segments]])
    length = torch.tensor([[s["length"] for s in segments]])
    source, background = frozen_order(start, length, frames)
    return source[0].tolist(), background[0].int().tolist()


@pytest.mark.golden("aug_curves.json")
def test_freeze(golden_file):
    for case in read(golden_file, "freeze"):
        found = order(case["T"], [case])
        assert found == (case["source_frame"], case["is_background"])


@pytest.mark.golden("aug_curves.json")
def test_freeze_of_the_reference_validation(golden_file):
    for case in read(golden_file, "freeze_eval"):
        frames = case["T"]
        for parity, eighths in (("even", 1), ("odd", 5)):
            held = {"length": frames // 4, "start": eighths * frames // 8}
            assert order(frames, [held]) == (
                case[f"source_frame_{parity}"],
                case[f"is_background_{parity}"],
            )


@pytest.mark.golden("aug_curves.json")
def test_freeze_of_several_segments(golden_file):
    for case in read(golden_file, "freeze_multi"):
        found = order(case["T"], case["segments"])
        assert found == (case["source_frame"], case["is_background"])


@pytest.mark.golden("aug_curves.json")
def test_intervals_and_weights_of_mixup(golden_file):
    for case in read(golden_file, "mixup_intervals"):
        drawn = case["draw"]
        start = column(drawn["start1"], drawn["start2"])
        length = column(drawn["len1"], drawn["len2"])
        begin, end = intervals(start, length, case["T"], covering=True)
        for i in (0, 1):
            assert [begin[i, 0], end[i, 0]] == case[f"interval{i + 1}"]
        draw = PairDraw(torch.tensor([0]), start, length)
        pair = overlay(draw, case["T"], covering=True, symmetric=False)
        for i in (0, 1):
            assert pair.visible[i, 0].int().tolist() == case[f"visible{i + 1}"]
            np.testing.assert_allclose(
                pair.weights[i, 0], case[f"weight{i + 1}"], rtol=0, atol=1e-6
            )


def alpha(n1, n2, r, extra):
    """The paper's weight of clip 1 at t = 1, 2, ...; `extra` widens denominators."""
    t = np.arange(1, max(n1, n2 + r) + 1)
    if n2 + r >= n1:
        return np.clip((n1 + extra - t) / (n1 - r + extra), 0, 1)
    fade = np.abs(n2 + 2 * r - 2 * t) / (n2 + extra)
    return np.where((t <= r) | (t > r + n2), 1.0, np.clip(fade, 0, 1))


@pytest.mark.golden("aug_curves.json")
def test_formula_of_the_paper(golden_file):
    for case in read(golden_file, "alpha"):
        n1, n2, r = case["n1"], case["n2"], case["r"]
        for key, extra in (("alpha_paper", 0), ("alpha_code", 1)):
            found = alpha(n1, n2, r, extra)
            np.testing.assert_allclose(found, case[key], rtol=0, atol=1e-6)


@pytest.mark.golden("aug_curves.json")
def test_weights_follow_the_formula(golden_file):
    for case in read(golden_file, "alpha"):
        n1, n2, r = case["n1"], case["n2"], case["r"]
        if r == 0 or n2 + r == n1:
            continue  # ties, which the released code decides otherwise
        draw = PairDraw(torch.tensor([0]), column(0, r), column(n1, n2))
        pair = overlay(draw, case["T"], covering=False, symmetric=False)
        np.testing.assert_allclose(
            pair.weights[0, 0], case["alpha_code"], rtol=0, atol=1e-6
        )
