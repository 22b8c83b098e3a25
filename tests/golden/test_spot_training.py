"""SPOT's targets, losses and pretext against the published program and the spec."""

import json

import numpy as np
import pytest
import torch

from ssdet.augment.random_foreground import crop, normalise, span_mask
from ssdet.data.snippet_targets import block_of, class_mask, targets_of
from ssdet.data.snippets import covered_s, rescale
from ssdet.train.boundary_contrast import Counts, Mined, boundary_contrast, mine
from ssdet.train.boundary_rings import above_median, dilate, erode, rings
from ssdet.train.spot_losses import (
    balanced_entropy,
    class_loss,
    dice_loss,
    mask_loss,
)
from tests.golden.rules import spot_uniform


def runs(line):
    """Half-open stretches of a line of 0 and 1."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(line) > 0, [0]])))
    return edges.reshape(-1, 2).tolist()


def digits(row):
    return "".join(str(int(bit)) for bit in row)


def assert_targets(case, rule, blocks, compat):
    expected = case[rule]
    classes, snippets = len(case["classes"]), case["T"]
    found = targets_of(blocks, classes, snippets, compat)
    assert found.classes.tolist() == expected["frame_class"]
    assert runs(found.mask.diagonal()) == expected["foreground_runs"]
    rows = {}
    for entry in expected["mask_row_runs_compact"]:
        for row in range(*entry["rows"]):
            rows[row] = entry["runs"]
    assert [runs(row) for row in found.mask] == [
        rows.get(row, []) for row in range(snippets)
    ]
    by_class = class_mask(blocks, classes, snippets, compat)
    found_runs = {str(k): runs(row) for k, row in enumerate(by_class) if row.any()}
    assert found_runs == expected["class_mask_runs"]


@pytest.mark.golden("targets/targets.json")
def test_targets(golden_file):
    for case in json.loads(golden_file.read_text()):
        covered = covered_s(
            case["duration_second"], case["feature_frame"], case["duration_frame"]
        )
        assert covered == pytest.approx(case["corrected_second"], rel=0, abs=1e-9)
        actions = [
            (*(t / covered for t in a["segment"]), case["classes"].index(a["label"]))
            for a in case["annotations"]
        ]
        painted = {
            compat: [
                block
                for action in actions
                if (block := block_of(*action, case["T"], compat)) is not None
            ]
            for compat in ("fixed", "reference")
        }
        assert [list(b) for b in painted["fixed"]] == case["recommended_blocks"]
        assert_targets(case, "recommended_rule", painted["fixed"], "fixed")
        rule = "reference_rule_on_all_annotations"
        assert_targets(case, rule, painted["reference"], "reference")


@pytest.mark.golden("targets/rescale.json")
def test_rescale(golden_file):
    for case in json.loads(golden_file.read_text()):
        shape = [case["L"], case["channels"]]
        x = 2 * spot_uniform(shape, case["input"]["stream"]) - 1
        found = rescale(torch.from_numpy(x), case["T"])
        expected = case["output_channel_by_time"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.golden("losses/losses.json")
def test_losses(golden_file):
    content = json.loads(golden_file.read_text())
    for case in content["cases"]:
        classes = case["classes_incl_background"]
        u = {
            key: torch.from_numpy(spot_uniform(case[key]["shape"], case[key]["stream"]))
            for key in ("logits", "labels", "mask_prob")
        }
        logits, mask = 3 * (2 * u["logits"] - 1), 0.02 + 0.96 * u["mask_prob"]
        labels = (classes * u["labels"]).floor().long()
        assert labels.tolist() == case["labels"]["values"]
        target = torch.zeros_like(mask)
        for video, blocks in enumerate(case["mask_blocks_half_open"]):
            for start, end in blocks:
                target[video, start:end, start:end] = 1
        batch = class_loss(logits, labels, focal="batch")
        found = {
            "mean_ce": torch.nn.functional.cross_entropy(logits, labels),
            "focal_batch_level_reference": batch,
            "focal_elementwise_recommended": class_loss(logits, labels),
            "cls_weighted_reference": content["lambda_1"] * batch,
            "weighted_bce": balanced_entropy(mask, target, None),
            "dice_loss": dice_loss(mask, target, None),
            "mask_loss": mask_loss(mask, target, entropy_share=content["lambda_2"]),
        }
        assert set(found) == set(case["expected"])
        for key, value in found.items():
            assert value.item() == pytest.approx(
                case["expected"][key], rel=0, abs=1e-6
            ), key


@pytest.mark.golden("losses/infonce.json")
def test_contrast_of_given_sets(golden_file):
    case = json.loads(golden_file.read_text())
    sets = {
        key: torch.from_numpy(2 * spot_uniform(entry["shape"], entry["stream"]) - 1)
        for key, entry in case["tensors"].items()
    }
    embedded = torch.cat(list(sets.values()), 1).transpose(1, 2)  # (B, C, all)
    which = torch.cat(
        [torch.full((x.shape[1],), i) for i, x in enumerate(sets.values())]
    ).expand(case["batch"], -1)
    chosen = {key: which == i for i, key in enumerate(sets)}
    mined = Mined(*(chosen[key] for key in ("EA", "EB", "HA", "HB")))
    found = boundary_contrast(embedded, mined, case["temperature"])
    for key, value in zip(("fg_term", "bg_term", "total"), found, strict=True):
        assert value.item() == pytest.approx(case["expected"][key], rel=0, abs=1e-9)


@pytest.mark.golden("losses/rings_1d.json")
def test_rings_of_lines(golden_file):
    for case in json.loads(golden_file.read_text()):
        binary = torch.tensor([bit == "1" for bit in case["binary"]])
        inner, outer = rings(binary, 4, 8)
        found = {
            "erode4": erode(binary, 4),
            "erode8": erode(binary, 8),
            "dilate4": dilate(binary, 4),
            "dilate8": dilate(binary, 8),
            "inner": inner,
            "outer": outer,
        }
        for key, row in found.items():
            assert digits(row) == case[key], key


@pytest.mark.golden("losses/rings_2d.json")
def test_rings_of_maps(golden_file):
    case = json.loads(golden_file.read_text())
    maps = torch.tensor(case["maps"], dtype=torch.double)
    assert maps.median().item() == pytest.approx(case["median"], rel=0, abs=1e-9)
    binary = above_median(maps, 0)
    inner, outer = rings(binary, 4, 8, axes=2)
    found = {
        "binary": binary,
        "erode4": erode(binary, 4, 2),
        "erode8": erode(binary, 8, 2),
        "dilate4": dilate(binary, 4, 2),
        "dilate8": dilate(binary, 8, 2),
        "inner": inner,
        "outer": outer,
    }
    for key, value in found.items():
        assert [[digits(row) for row in rows] for rows in value] == case[key], key


@pytest.mark.golden("losses/mining_recommended.json")
def test_mining(golden_file):
    case = json.loads(golden_file.read_text())
    logits = torch.tensor(case["logits"], dtype=torch.double)
    actionness = torch.tensor(case["mask_diagonal"], dtype=torch.double)
    entry = case["embedding"]
    u = spot_uniform(entry["shape"], entry["stream"])
    counts = Counts(
        case["k_easy"], case["k_hard"], case["small_kernel"], case["large_kernel"]
    )
    mined = mine(logits, actionness, counts, torch.ones_like(actionness).bool())
    for video, expected in enumerate(case["expected"]):
        for key, chosen in zip(
            ("easy_fg", "easy_bg", "hard_fg", "hard_bg"), mined, strict=True
        ):
            assert chosen[video].nonzero().flatten().tolist() == expected[key], key
        row = actionness[video]
        binary = above_median(row, 0)
        inner, outer = rings(binary, counts.small, counts.large)
        for key, line in (("binary", binary), ("inner", inner), ("outer", outer)):
            assert digits(line) == expected[key], key
    found = boundary_contrast(torch.from_numpy(2 * u - 1), mined, case["temperature"])
    for key, value in zip(("fg_term", "bg_term", "total"), found, strict=True):
        assert value.item() == pytest.approx(case[key], rel=0, abs=1e-9), key


@pytest.mark.golden("pretext/random_foreground.json")
def test_random_foreground(golden_file):
    case = json.loads(golden_file.read_text())
    entry = case["input"]
    u = spot_uniform(entry["shape"], entry["stream"])
    x = torch.from_numpy(2 * (2 * u - 1) + 0.3)
    spans = torch.tensor(case["spans_half_open"])
    cropped = crop(normalise(x), spans)
    expected = case["cropped_first_channel"]
    np.testing.assert_allclose(cropped[:, 0], expected, rtol=0, atol=1e-9)
    sums = case["cropped_channel_sums"]
    np.testing.assert_allclose(cropped.sum(2), sums, rtol=0, atol=1e-9)
    mask = span_mask(spans, x.shape[2], merge=False)
    for video, of_video in enumerate(case["spans_half_open"]):
        square = np.zeros(mask.shape[1:])
        for start, end in of_video:
            square[start:end, start:end] = 1
        np.testing.assert_array_equal(mask[video], square)
